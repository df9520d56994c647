"""`python -m local trace`: the tree of one run's spans."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.__main__ import main
from local.errors import LocalError
from local.terminal import Terminal
from local.trace import lines_of, show, spans_in, trees_of

T, U = "a" * 32, "b" * 32


def line(span: str, parent: str | None, name: str, start_ms: int, *, trace: str = T, pid: int = 1, **more: Any) -> str:
    given = {"took_ms": 5, "failed": False, "ids": {}, "events": [], **more}
    return json.dumps(
        {"trace": trace, "span": span, "parent": parent, "name": name, "start_ms": start_ms, "pid": pid, **given}
    )


FILE = "\n".join(
    [
        line("2", "1", "engine.start", 1010, ids={"run_id": "run_1"}),
        line("1", "caller", "start_run", 1000, took_ms=40, events=["run.accepted"]),
        line("4", "3", "run.look", 1105, pid=2, failed=True, ids={"run_id": "run_1", "error": "service_busy"}),
        line("3", "1", "advance_run", 1100, pid=2),
        line("9", None, "index_document", 900, trace=U, ids={"path": "c/a.md"}),
        '{"trace": "half a li',
    ]
)


def test_the_tree_of_a_run() -> None:
    [tree] = trees_of(spans_in(FILE), "run_1")
    assert list(lines_of(tree)) == [
        f"trace {T}: 4 spans, 2 processes",
        " start ms  took ms",
        "        0       40 start_run [run.accepted]",
        "       10        5   engine.start run_id=run_1",
        "      100        5   advance_run",
        "      105        5     run.look run_id=run_1 error=service_busy FAILED",
    ]


@pytest.mark.parametrize(("about", "names"), [("c/a.md", ["index_document"]), ("run_2", [])])
def test_only_traces_that_name_it(about: str, names: list[str]) -> None:
    assert [span.name for tree in trees_of(spans_in(FILE), about) for span in tree] == names


def test_without_spans_it_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as caught:
        show(Terminal(), "run_1", environ={"TELEMETRY": f"file:{tmp_path / 'none'}"})
    assert "TELEMETRY=file make up" in caught.value.advice
    (tmp_path / "some").write_text(FILE)
    with pytest.raises(LocalError, match="No span names 'run_9'"):
        show(Terminal(), "run_9", environ={"TELEMETRY": f"file:{tmp_path / 'some'}"})


def test_the_command_prints_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trace").write_text(FILE)
    monkeypatch.setenv("TELEMETRY", f"file:{tmp_path / 'trace'}")
    assert main(["trace", "run_1"]) == 0
    assert "engine.start run_id=run_1" in capsys.readouterr().out

"""`python -m local add`: which files become which documents, and how a folder is kept in step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.commands.add import Changes, Mark, add, changes, found, keep_in_step, marks
from local.errors import LocalError, RequestFailed
from local.terminal import Terminal

A, B = Mark(1, 1), Mark(2, 2)


class FakeClient:
    """Indexes all but what is named `bad`, and takes no file named `refused`."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self.deleted: list[str] = []

    def drop(self, source: Path, name: str) -> str:
        if "refused" in name:
            raise RequestFailed("It is too large.", status=413, code="document_too_large")
        self.dropped.append(name)
        return f"etag-{len(self.dropped)}"

    def wait_indexed(self, etags: dict[str, str], *, on_final: Any, within_s: float) -> dict[str, Any]:
        assert within_s > 0
        final = {}
        for name in etags:
            reason = {"message": "It cannot be read."} if "bad" in name else None
            final[name] = {"path": name, "status": "failed" if reason else "indexed", "reason": reason}
            on_final(final[name])
        return final

    def delete(self, name: str) -> None:
        self.deleted.append(name)


@pytest.fixture
def client() -> Any:
    return FakeClient()


def folder(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_a_folder_becomes_a_collection_and_a_file_stays_in_default(tmp_path: Path) -> None:
    root = folder(tmp_path / "hr", "a.md", "b/c.md", ".hidden/x.md", ".git", "Thumbs.db")
    (root / "link.md").symlink_to(root / "a.md")
    assert list(found([root])) == ["hr/a.md", "hr/b/c.md"]
    assert list(found([root / "a.md"])) == ["a.md"]
    assert list(found([root / "a.md"], "team")) == ["team/a.md"]
    assert list(found([root], "team")) == ["team/hr/a.md", "team/hr/b/c.md"]


def test_two_files_cannot_become_one_document(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "1", "a.md") / "a.md", folder(tmp_path / "2", "a.md") / "a.md"
    with pytest.raises(LocalError, match=r"both become the document a\.md"):
        found([one, two])
    assert len(found([one, one])) == 1
    with pytest.raises(LocalError, match="no file or folder"):
        found([tmp_path / "nothing"])


@pytest.mark.parametrize(
    ("added", "before", "now", "expected"),
    [
        ({}, {}, {"a": A}, Changes((), ())),  # it may still be written
        ({}, {"a": A}, {"a": A}, Changes(("a",), ())),
        ({"a": A}, {"a": A}, {"a": A}, Changes((), ())),
        ({"a": A}, {"a": A}, {"a": B}, Changes((), ())),
        ({"a": A}, {"a": B}, {"a": B}, Changes(("a",), ())),
        ({"a": A}, {"a": A}, {}, Changes((), ("a",))),
        ({}, {"a": A}, {}, Changes((), ())),
    ],
)
def test_what_a_look_leads_to(
    added: dict[str, Mark], before: dict[str, Mark], now: dict[str, Mark], expected: Changes
) -> None:
    assert changes(added, before, now) == expected


def test_one_bad_file_stops_no_other(tmp_path: Path, client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "c", "bad.md", "good.md", "refused.md")
    assert add(Terminal(), client, [root]) == 1
    told = capsys.readouterr().out
    assert "indexed      c/good.md" in told
    assert "failed       c/bad.md  It cannot be read." in told
    assert "failed       c/refused.md  It is" in told
    assert add(Terminal(), client, [root / "good.md"]) == 0


def test_json_is_all_that_is_printed(tmp_path: Path, client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    add(Terminal(), client, [folder(tmp_path / "c", "good.md")], as_json=True)
    assert [each["status"] for each in json.loads(capsys.readouterr().out)] == ["indexed"]


def test_an_empty_folder_is_said(tmp_path: Path, client: Any) -> None:
    with pytest.raises(LocalError, match="no file to add"):
        add(Terminal(), client, [folder(tmp_path / "c", ".hidden")])


def test_a_folder_is_kept_in_step(tmp_path: Path, client: Any) -> None:
    root = folder(tmp_path / "c", "kept.md", "gone.md")
    steps = iter([lambda: folder(root, "new.md"), lambda: (root / "gone.md").unlink(), lambda: None, lambda: None])

    def pause(_: float) -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    with pytest.raises(KeyboardInterrupt):
        keep_in_step(Terminal(), client, lambda: found([root]), marks(found([root])), pause=pause)
    assert (client.dropped, client.deleted) == (["c/new.md"], ["c/gone.md"])

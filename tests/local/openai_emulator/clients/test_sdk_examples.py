"""The examples of the openai SDK's source distribution, unmodified, with the built-in model and with an outside one."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.local.openai_emulator.clients.obliging import emulator
from tests.local.openai_emulator.clients.packages import client_environ, run, sources

EXAMPLES = (
    "async_demo.py",
    "demo.py",
    "parsing.py",
    "parsing_stream.py",
    "parsing_tools.py",
    "parsing_tools_stream.py",
    "responses/background.py",
    "responses/background_async.py",
    "responses/background_streaming.py",
    "responses/background_streaming_async.py",
    "responses/streaming.py",
    "responses/streaming_tools.py",
    "responses/structured_outputs.py",
    "responses/structured_outputs_tools.py",
    "responses_input_tokens.py",
    "uploads.py",
)
# These want an equation solved, or a table's columns guessed: the built-in model refuses, and the examples say so.
NEED_A_MODEL = {
    "parsing_tools.py": "IndexError",
    "responses/structured_outputs.py": "unexpected output type",
    "responses/structured_outputs_tools.py": "AssertionError",
}
JSON = ("parsing.py", "parsing_stream.py", "parsing_tools_stream.py", *NEED_A_MODEL)


@pytest.mark.long
@pytest.mark.parametrize(
    ("example", "kind"), [*((one, "builtin") for one in EXAMPLES), *((one, "model") for one in JSON)]
)
async def test_an_example_runs_unmodified(example: str, kind: str, tmp_path: Path) -> None:
    folder = await sources("openai", version("openai")) / "examples"
    arguments: list[str | Path] = []
    if example == "uploads.py":
        (tmp_path / "big.txt").write_text("A line of text.\n" * 1000)
        arguments = [tmp_path / "big.txt"]
    async with emulator(kind) as url:
        code, output = await run(
            sys.executable, "-P", folder / example, *arguments, environ=client_environ(url), folder=tmp_path
        )
    if "No module named 'rich'" in output:
        pytest.skip("the example imports the package `rich`, which is not installed")
    if kind == "builtin" and example in NEED_A_MODEL:
        assert NEED_A_MODEL[example] in output
    else:
        assert code == 0, output[-3000:]
        assert output.strip()

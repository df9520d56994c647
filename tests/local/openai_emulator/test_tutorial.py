"""The Azure OpenAI Assistants tutorial against a freshly started emulator, with the pinned SDK and with an old one."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from local.openai_emulator.server import serve
from local.paths import ROOT
from tests.local.openai_emulator import tutorial

OLD_SDK = "openai==1.65.0"  # the last minor release with `client.beta.vector_stores`
OLD_PYTHON = ROOT / ".local/openai-1.65/bin/python"


async def run(*command: str | Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def run_tutorial(python: str | Path) -> None:
    async with serve() as url:
        code, output = await run(python, "-P", tutorial.__file__, url)  # -P: this folder has an `http`
    assert code == 0, output


async def test_the_first_question_finds_a_file_attached_just_before() -> None:
    await run_tutorial(sys.executable)


@pytest.mark.long
async def test_every_answer_is_right_each_time() -> None:
    for _ in range(int(os.environ.get("TUTORIAL_TIMES", "4"))):
        await run_tutorial(sys.executable)


@pytest.mark.long
async def test_an_sdk_that_still_has_beta_vector_stores() -> None:
    if not OLD_PYTHON.exists():
        code, output = await run(sys.executable, "-m", "venv", OLD_PYTHON.parent.parent)
        if code == 0:
            code, output = await run(OLD_PYTHON, "-m", "pip", "install", "--quiet", OLD_SDK)
        if code != 0:
            pytest.skip(f"{OLD_SDK} cannot be installed here: {output[-300:]}")
    code, _ = await run(OLD_PYTHON, "-c", "import openai")
    if code != 0:
        pytest.skip(f"{OLD_SDK} is not installed in {OLD_PYTHON.parent.parent}")
    await run_tutorial(OLD_PYTHON)

"""Sessions behave as the hosted tool does: charts in any script, images from anywhere, lines of a notebook."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import Sandbox, Session
from tests.long import long_but

pytestmark = pytest.mark.asyncio(loop_scope="module")
START = "import os, glob, matplotlib.pyplot as plt\nfor f in glob.glob('*.*') + glob.glob('/tmp/*.*'): os.remove(f)"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=long_but([1, 2, 3], 1))
async def session(request: pytest.FixtureRequest) -> AsyncIterator[Session]:
    sandbox = Sandbox(tiers=(request.param,), trusted=True)
    await sandbox.start()
    yield await sandbox.open()
    await sandbox.close()


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("plt.plot([1]); plt.savefig('/tmp/chart.png')", ["chart.png"]),
        ("plt.plot([1]); plt.savefig('/tmp/chart.png'); plt.show()", ["chart.png"]),
        ("os.makedirs('/tmp/a/b', exist_ok=True); plt.plot([1]); plt.savefig('/tmp/a/b/chart.jpg')", ["chart.jpg"]),
        ("plt.plot([1]); plt.savefig('x.pdf'); plt.show()", ["figure-1.png", "x.pdf"]),
        ("plt.plot([1]); plt.savefig('x.pdf')", ["figure-1.png", "x.pdf"]),
        ("plt.plot([1]); plt.savefig('x.png'); plt.show()", ["x.png"]),
        ("plt.plot([1]); plt.savefig('x.png'); plt.title('changed'); plt.show()", ["figure-1.png", "x.png"]),
        ("plt.plot([1]); plt.savefig('x'); plt.show()", ["x.png"]),
        ("plt.plot([1]); plt.savefig('x', format='svg')", ["x"]),
        ("import io; plt.plot([1]); plt.savefig(io.BytesIO())", ["figure-1.png"]),
        ("plt.plot([1]); plt.savefig('/tmp/x.png'); import shutil; shutil.copy('/tmp/x.png', '.');", ["x.png"]),
        ("open('/tmp/notes.txt', 'w').write('x');", []),
        ("plt.plot([1]); plt.savefig('/tmp/x.png'); 1 / 0", ["x.png"]),
    ],
)
async def test_an_image_comes_back_once(session: Session, code: str, changed: list[str]) -> None:
    await session.run(START)
    outcome = await session.run(code)
    assert sorted(outcome.changed) == changed, outcome.logs


@pytest.mark.parametrize("text", ["世界", "日本語", "한국어", "שלום", "مرحبا", "ไทย", "हिन्दी", "Ελλάδα", "Київ", "😀"])
async def test_a_label_in_any_script_gives_at_most_one_sentence(session: Session, text: str) -> None:
    code = f"plt.bar(['{text}', '{text}{text}'], [1, 2]); plt.title('{text}'); plt.legend(['{text}']); plt.show()"
    outcome = await session.run(f"{START}\n{code}")
    assert outcome.changed == ("figure-1.png",)
    assert "Warning" not in outcome.logs
    assert outcome.logs.count("\n") <= 1
    assert outcome.logs == "" or outcome.logs.startswith("[No font of this machine has these characters")


async def test_without_a_font_the_characters_are_named_once(session: Session) -> None:
    """U+F8FFF is for private use: no font has it."""
    outcome = await session.run(f"{START}\nplt.plot([1]); plt.title(chr(0xF8FFF) * 9); plt.show(); plt.show()")
    assert outcome.logs == ("[No font of this machine has these characters, which charts show as boxes: \U000f8fff]\n")
    assert (await session.run("plt.plot([1]); plt.show()")).logs == ""


NO_PIP = "[Nothing can be installed here, there is no network: use the packages that are there.]\n"


@pytest.mark.parametrize(
    ("code", "logs"),
    [
        ("!pip install seaborn", NO_PIP),
        ("%pip install seaborn", NO_PIP),
        ("pip install seaborn\n1 + 1", NO_PIP + "2\n"),
        ("if True:\n    !python -m pip install -q seaborn\n1 + 1", NO_PIP + "2\n"),
        ("%matplotlib inline\nx = 5\nx", "5\n"),
        ("!echo out of a shell", "out of a shell\n"),
        ("%timeit 1", "[%timeit 1 is not understood here: write it in Python.]\n"),
        ("'''\n!echo no\n'''", "'\\n!echo no\\n'\n"),
        ("import asyncio\nawait asyncio.sleep(0, 'slept')", "'slept'\n"),
        ("async def f(): return 7\nx = await f()\nx", "7\n"),
        ("import asyncio\nasyncio.run(asyncio.sleep(0, 3))", "3\n"),
        ("5 % 3", "2\n"),
    ],
)
async def test_lines_of_a_notebook_are_understood(session: Session, code: str, logs: str) -> None:
    outcome = await session.run(code)
    assert (outcome.logs, outcome.failed) == (logs, False)


async def test_pip_of_a_subprocess_says_no_at_once(session: Session) -> None:
    code = (
        "import subprocess, sys\nr = subprocess.run([sys.executable, '-m', 'pip', 'install', 'x'], capture_output=True)"
    )
    outcome = await session.run(
        f"{code}\nprint(b'etry' in r.stderr, b'No matching distribution' in r.stderr or r.stderr)"
    )
    assert outcome.logs == "False True\n"


@pytest.mark.parametrize("code", ["x = = 1", "!echo a\nx = = 1", "def f(:"])
async def test_a_syntax_error_shows_the_cell_only(session: Session, code: str) -> None:
    outcome = await session.run(code)
    assert outcome.failed
    assert "SyntaxError" in outcome.logs
    assert "cells.py" not in outcome.logs


async def test_an_error_after_an_await_shows_the_cell_only(session: Session) -> None:
    outcome = await session.run("async def g():\n    raise ValueError('x')\nawait g()")
    assert outcome.failed
    assert outcome.logs.startswith('Traceback (most recent call last):\n  File "<cell ')
    assert "asyncio" not in outcome.logs

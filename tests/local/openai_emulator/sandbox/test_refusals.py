"""What the kernel refuses in every tier that isolates: escape, counters of the whole machine, uncounted memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import Limits, Sandbox
from tests.local.openai_emulator.sandbox.attacks.prelude import PRELUDE
from tests.local.openai_emulator.sandbox.attacks.refused import COUNTERS, ESCAPE, MEMORY
from tests.local.openai_emulator.sandbox.conftest import LANDLOCKS, start_with
from tests.long import long_but

MIB = 1024 * 1024
LIMITS = Limits(wall_s=300, data_bytes=32 * MIB, tmp_bytes=16 * MIB, inodes=2_000)
GROUPS = {"escape": ESCAPE, "counters": COUNTERS, "memory": MEMORY}
ATTACKS = [(group, name) for group, programs in GROUPS.items() for name in programs]
ALL = (
    PRELUDE
    + """
import contextlib, gc, json
def is_open(fd):
    with contextlib.suppress(OSError):
        return bool(os.fstat(fd))
    return False

gc.freeze()  # what is there is not looked at again and again
kept = [fd for fd in range(256) if is_open(fd)]
def result(program):
    try:
        exec(program, dict(globals()))
    except Exception as exc:
        return [kind.__name__ for kind in type(exc).__mro__]
    finally:
        gc.collect()
        for fd in set(filter(is_open, range(256))) - set(kept):
            os.close(fd)
    return ["GOT IN"]

"""
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=long_but([None, *LANDLOCKS], None, LANDLOCKS[0]))
async def results(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, dict[str, list[str]]]]:
    """For each group and program: the classes of the error that stopped it."""
    sandbox = Sandbox(tiers=(2 if request.param else 1,), limits=LIMITS)
    await start_with(sandbox, request.param)
    session = await sandbox.open()
    every = (
        f"{{group: {{name: result(one) for name, one in programs.items()}} for group, programs in {GROUPS!r}.items()}}"
    )
    # Into a file: what the programs leave running may print, too.
    outcome = await session.run(f"{ALL}\ntext = json.dumps({every})\nopen('results.json', 'w').write(text);")
    assert not outcome.failed, outcome.logs
    assert (await session.run("6 * 7")).logs == "42\n"
    yield json.loads(await session.read("results.json"))
    await sandbox.close()


@pytest.mark.parametrize(("group", "name"), ATTACKS)
async def test_it_is_refused(results: dict[str, dict[str, list[str]]], group: str, name: str) -> None:
    """A program that ended by a mistake of its own would prove nothing."""
    assert set(results[group][name]) & {"OSError", "MemoryError"}, results[group][name]

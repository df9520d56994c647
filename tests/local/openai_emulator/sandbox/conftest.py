"""The session that most tests of a file share. Each file has a `sandbox` of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.openai_emulator.sandbox import Sandbox, Session, guard, jail, tiers
from local.openai_emulator.sandbox import sandbox as sandbox_module

LANDLOCKS = (tiers.ForkedLandlock, tiers.Landlock)


async def start_with(sandbox: Sandbox, kind: type[tiers.Landlock] | None = None) -> None:
    """Start it with this way of tier 2, and no other; None: as it is."""
    with pytest.MonkeyPatch.context() as patch:
        if kind is not None:
            if guard.landlock_version() == 0:
                pytest.skip("this kernel has no Landlock")
            patch.setattr(sandbox_module, "isolations", lambda _: (one() for one in [kind]))
        await sandbox.start()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(sandbox: Sandbox) -> AsyncIterator[Session]:
    """For code that it survives."""
    session = await sandbox.open()
    yield session
    await session.close()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Sessions import nothing before they run code, and neither does what they are forked from: their programs."""
    for path in (*jail.BESIDE, *jail.BESIDE_FORK_SERVER):
        (tmp_path / path.name).write_text(path.read_text())
    for program, instead in ((jail.RUNNER, ""), (jail.FORK_SERVER, "    runner.load_parts()\n")):
        text = program.read_text()
        assert "    warm_up()\n" in text
        (tmp_path / program.name).write_text(text.replace("    warm_up()\n", instead))
    for name in ("BESIDE", "BESIDE_FORK_SERVER"):
        monkeypatch.setattr(jail, name, [tmp_path / path.name for path in getattr(jail, name)])
    return tmp_path

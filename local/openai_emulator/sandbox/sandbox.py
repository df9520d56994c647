"""The sessions of one emulator, and one spare session that is already started."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from local.openai_emulator.sandbox import check
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.session import Session

logger = logging.getLogger(__name__)

# Kernel settings that forbid user namespaces to ordinary users: name, forbidding value, remedy.
SWITCHES = (
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    ("kernel/unprivileged_userns_clone", "0", "sudo sysctl kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "0", "sudo sysctl user.max_user_namespaces=10000"),
)
IN_A_CONTAINER = (
    "If this is a container, start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined`, or with `--privileged`."
)

CHECK_S = 60.0  # for the check of the isolation, also where runs have less time: a busy machine is slow


class Sandbox:
    """Opens isolated Python sessions. One per emulator, used in one event loop.

    A spare session with its imports done is kept ready; when it is taken, the next one starts in the background. There
    is no insecure fallback: if the check of the isolation fails, `start` raises and no code is run.
    """

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._with_proc = True
        self._font_cache: Sequence[tuple[bytes, str]] = ()
        self._sessions: set[Session] = set()
        self._spare: asyncio.Task[Session] | None = None
        self._taking = asyncio.Lock()

    async def start(self) -> None:
        """Start a session and check its isolation; it becomes the spare.

        Raises:
            SandboxUnavailable: it is not isolated; `str()` says why and how to fix it.
        """
        if sys.platform != "linux":
            raise SandboxUnavailable(
                f"Code runs only in a Linux sandbox, and this is {sys.platform}. Start the emulator in WSL 2, "
                "in a Linux virtual machine or in a container."
            )
        try:
            session = await self._launch_first()
            await self._check(session)
        except SandboxUnavailable as exc:
            await self.close()
            raise SandboxUnavailable(_explain(str(exc))) from exc
        self._font_cache = await session.font_cache()
        self._spare = asyncio.create_task(_as_result(session))

    async def open(self) -> Session:
        """A new session for the caller: at once if the spare is ready, else after about a second.

        Raises:
            SandboxUnavailable: `start` was not called or failed, or a session could not be started.
        """
        async with self._taking:
            if self._spare is None:
                raise SandboxUnavailable("The sandbox has not been started.")
            try:
                session = await asyncio.shield(self._spare)
            finally:
                if self._spare.done():
                    self._spare = asyncio.create_task(self._launch())
        return session if session.alive else await self._launch()

    async def close(self) -> None:
        """End every session."""
        if self._spare:
            self._spare.cancel()
            await asyncio.gather(self._spare, return_exceptions=True)
            self._spare = None
        while self._sessions:
            await self._sessions.pop().close()

    async def _launch(self) -> Session:
        session = await Session.launch(self._limits, with_proc=self._with_proc, files=self._font_cache)
        self._sessions = {known for known in self._sessions if not known.closed} | {session}
        return session

    async def _launch_first(self) -> Session:
        try:
            return await self._launch()
        except SandboxUnavailable as exc:
            if "mount proc" not in str(exc):
                raise
        # A container host that hides parts of /proc forbids a new /proc: sessions get none.
        self._with_proc = False
        return await self._launch()

    async def _check(self, session: Session) -> None:
        outcome = await session.run(check.question(self._limits), wall_s=CHECK_S)
        if outcome.failed:
            raise SandboxUnavailable(f"The check of the isolation failed: {outcome.logs.strip()}")
        if faults := list(check.faults(outcome.logs, session.init_pid, self._limits)):
            raise SandboxUnavailable(f"The isolation is not complete: {'; '.join(faults)}.")
        logger.info("sandbox.checked", extra={"own_proc": self._with_proc})


async def _as_result(session: Session) -> Session:
    """A started session as the result of a task, as the spare is one."""
    return session


def _explain(failure: str) -> str:
    """Add a remedy to the reason why code cannot be isolated."""
    if not any(word in failure for word in ("bwrap", "Permission denied", "not permitted")):
        return f"Code can't be isolated here: {failure}"
    hints = [
        f"The kernel forbids user namespaces; allow them with `{remedy}`."
        for switch, forbids, remedy in SWITCHES
        if (file := Path("/proc/sys", switch)).exists() and file.read_text().strip() == forbids
    ]
    return " ".join([f"Code can't be isolated here: {failure.rstrip('.')}.", *(hints or [IN_A_CONTAINER])])

"""The sessions of one emulator, and one spare session that is already started."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from local.openai_emulator.sandbox.errors import FileRefused, SandboxUnavailable
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.session import Session
from local.openai_emulator.sandbox.tiers import Isolation, Tier, isolations, remedy

logger = logging.getLogger(__name__)

CHECK_S = 60.0  # for the check of the isolation, also where runs have less time: a busy machine is slow
UNSAFE = "EMULATOR_UNSAFE_CODE"


class Sandbox:
    """Opens isolated Python sessions. One per emulator, used in one event loop.

    A spare session with its imports done is kept ready; when it is taken, the next one starts in the background.
    `start` chooses the best tier that proves itself; untrusted code never runs below tier 2.
    """

    def __init__(
        self, *, limits: Limits | None = None, trusted: bool = False, tiers: Sequence[int] = (1, 2, 3)
    ) -> None:
        """
        Args:
            limits: Of each session.
            trusted: All code is that of the built-in model, or the user has allowed any code to run unprotected.
            tiers: Those to try, in order.
        """
        self.reason = ""  # why no better tier is used, sentences
        self.remedy = ""  # what to do about it, sentences
        self._limits = limits or Limits()
        self._trusted = trusted
        self._tiers = tiers
        self._isolation: Isolation | None = None
        self._slower_because = ""  # a sentence
        self._font_cache: Sequence[tuple[bytes, str]] = ()
        self._sessions: set[Session] = set()
        self._spare: asyncio.Task[Session] | None = None
        self._taking = asyncio.Lock()

    @property
    def tier(self) -> Tier | None:
        """The tier in use; None before `start` has ended."""
        return self._isolation.tier if self._isolation else None

    async def start(self) -> None:
        """Choose a tier: start a session and check its isolation; it becomes the spare.

        Raises:
            SandboxUnavailable: no tier works; `str()` says why and how to fix it.
        """
        reasons = []
        for number in self._tiers:
            if number == 3 and not self._trusted:
                continue
            try:
                session = await self._try(number)
            except SandboxUnavailable as exc:
                reasons.append(f"Tier {number} does not work here: {str(exc).rstrip('.')}.")
                continue
            self.reason = " ".join(reasons)
            self.remedy = remedy(self.reason) if reasons else ""
            if self._slower_because:
                self.reason = f"{self.reason} {self._slower_because}".strip()
            assert self.tier is not None
            logger.info("sandbox.started", extra={"tier": self.tier.number, "reason": self.reason})
            self._font_cache = await session.font_cache()
            self._spare = asyncio.create_task(_as_result(session))
            return
        await self.close()
        raise SandboxUnavailable(self._explain(" ".join(reasons)))

    async def _try(self, number: int) -> Session:
        """A checked session of this tier. Raises SandboxUnavailable."""
        self._slower_because = ""
        failures: list[str] = []
        for isolation in isolations(number):
            self._isolation = isolation
            try:
                session = await self._launch()
                await self._check(session, isolation)
                if failures and isolation.is_slow:
                    self._slower_because = f"Every session does its own imports: {'; '.join(failures)}."
                return session
            except SandboxUnavailable as exc:
                failures.append(str(exc).rstrip("."))
                await self._drop()
        raise SandboxUnavailable("; ".join(dict.fromkeys(failures)))

    def _explain(self, reasons: str) -> str:
        sentences = [f"Code can't be isolated here. {reasons}", remedy(reasons)]
        if 3 in self._tiers and not self._trusted:
            sentences.append(f"{UNSAFE}=1 runs the code of any model unprotected, with your own rights.")
        return " ".join(filter(None, sentences))

    async def open(self) -> Session:
        """A new session for the caller: at once if the spare is ready, else once one has started.

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
        await self._drop()

    async def _drop(self) -> None:
        while self._sessions:
            await self._sessions.pop().close()
        if self._isolation is not None:
            self._isolation.close()
            self._isolation = None

    async def _launch(self) -> Session:
        assert self._isolation is not None
        session = await Session.launch(self._limits, partial(self._isolation.start, self._limits, self._font_cache))
        self._sessions = {known for known in self._sessions if not known.closed} | {session}
        return session

    async def _check(self, session: Session, isolation: Isolation) -> None:
        outcome = await session.run(isolation.question(self._limits), wall_s=CHECK_S)
        if outcome.failed:
            last = outcome.logs.strip().rpartition("\n")[2]
            raise SandboxUnavailable(f"the check of the isolation failed: {last}")
        await self._check_files(session)
        if faults := isolation.faults(outcome.logs, session.init_pid, self._limits):
            raise SandboxUnavailable(f"the isolation is not complete: {'; '.join(faults)}")

    async def _check_files(self, session: Session) -> None:
        """What code writes must reach the host, which opens files by a system call that some machines refuse."""
        outcome = await session.run("open('/mnt/data/written', 'w').write('x');", wall_s=CHECK_S)
        try:
            if "written" not in outcome.written or await session.read("written") != b"x":
                raise SandboxUnavailable("files of a session can't be read from outside")
            await session.remove("written")
        except (OSError, FileRefused) as exc:
            raise SandboxUnavailable(f"files of a session can't be read from outside: {exc}") from exc


async def _as_result(session: Session) -> Session:
    """A started session as the result of a task, as the spare is one."""
    return session

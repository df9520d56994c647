"""The tiers of isolation: what each stops, how it starts a session, and how it proves itself.

| tier | where | what holds a session |
|---|---|---|
| 1 | Linux with user namespaces | bubblewrap: own namespaces, own file systems of limited size, seccomp, limits |
| 2 | Linux without | Landlock, seccomp, limits, as root a user of its own; watched sizes of files |
| 3 | elsewhere | a process with limits and an empty environment: for the built-in model's own code only |
"""

from __future__ import annotations

import asyncio
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local.openai_emulator.sandbox import cage, check, jail
from local.openai_emulator.sandbox.cage import Caged, CageServer, Home
from local.openai_emulator.sandbox.errors import SandboxUnavailable
from local.openai_emulator.sandbox.forked import ForkServer, JailedServer
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.plain import Plain
from local.openai_emulator.sandbox.process import Jailed, Process

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
ELSEWHERE = "Start the emulator in WSL 2, in a Linux virtual machine or in a container."


@dataclass(frozen=True, kw_only=True)
class Tier:
    number: int
    name: str
    weaker: str = ""  # what it does not stop or limits less well than tier 1, a sentence


class Isolation(Protocol):
    """Starts sessions of one tier."""

    tier: Tier
    is_slow: bool  # there is a faster way to start sessions of this tier

    async def start(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> Process:
        """Raises SandboxUnavailable."""
        ...

    def question(self, limits: Limits) -> str:
        """The code by which a session tries what must fail."""
        ...

    def faults(self, answer: str, init_pid: int, limits: Limits) -> list[str]:
        """What did not fail, one sentence each."""
        ...

    def close(self) -> None: ...


class Bubblewrap:
    """Tier 1."""

    is_slow = True

    def __init__(self, program: str) -> None:
        self.tier = Tier(number=1, name="bubblewrap")
        self._program = program
        self._with_proc = True

    async def start(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> Process:
        try:
            return await Jailed.start(limits, with_proc=self._with_proc, files=files, bwrap=self._program)
        except SandboxUnavailable as exc:
            if "mount proc" not in str(exc) or not self._with_proc:
                raise
        self._with_proc = False  # a container host that hides parts of /proc forbids a new one: sessions get none
        return await self.start(limits, files)

    def question(self, limits: Limits) -> str:
        return check.question(limits)

    def faults(self, answer: str, init_pid: int, limits: Limits) -> list[str]:
        return list(check.faults(answer, init_pid, limits))

    def close(self) -> None:
        return


class Forking(ABC):
    """A way to start sessions with the imports done once for all of them; a fork server that has ended is replaced."""

    is_slow = False
    server: ForkServer | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._starting = asyncio.Lock()

    @abstractmethod
    async def start_server(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> ForkServer:
        """One whose imports are not yet done. Raises SandboxUnavailable."""

    async def start(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> Process:
        server = await self._running(limits, files)
        try:
            return await server.fork(limits)
        except SandboxUnavailable:
            if not server.has_ended():
                raise
        return await (await self._running(limits, files)).fork(limits)

    async def _running(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> ForkServer:
        async with self._starting:
            if self.server is None or self.server.has_ended():
                self._end_server()
                server = await self.start_server(limits, files)
                try:
                    await server.warm(limits)
                except BaseException:
                    server.close_now()
                    raise
                self.server = server
            return self.server

    def _end_server(self) -> None:
        if self.server is not None:
            self.server.close_now()
            self.server = None

    def close(self) -> None:
        self._end_server()
        super().close()  # type: ignore[misc]  # of the tier


class ForkedBubblewrap(Forking, Bubblewrap):
    """Tier 1, forked."""

    async def start_server(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> ForkServer:
        return await JailedServer.start(limits, with_proc=True, files=files, bwrap=self._program)

    def faults(self, answer: str, init_pid: int, limits: Limits) -> list[str]:
        assert self.server is not None
        return list(check.faults(answer, init_pid, limits, server_pid=self.server.server_pid))


class Landlock:
    """Tier 2."""

    is_slow = True

    def __init__(self) -> None:
        self.tier = Tier(
            number=2,
            name="Landlock",
            weaker="Code can learn whether a path exists, its files are on this machine's disk and their size is "
            "checked several times a second only, and multiprocessing has no locks.",
        )
        cage.require()
        self._home = Home(with_environment=True)
        self._canary = self._home.folder / "canary"
        self._canary.write_text("secret")
        self._canary.chmod(0o644)

    async def start(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> Process:
        return await Caged.start(limits, self._home, files=files)

    def others(self) -> dict[str, int]:
        """Processes that code may not reach: what they are, and their numbers."""
        return {"the emulator": os.getpid()}

    def question(self, limits: Limits) -> str:
        return check.shared_question(str(self._canary), limits, self.others())

    def faults(self, answer: str, init_pid: int, limits: Limits) -> list[str]:
        faults = list(check.shared_faults(answer, init_pid, limits, self.others()))
        if not self._is_untouched():
            faults.append("a file of this machine could be changed")
        return faults

    def _is_untouched(self) -> bool:
        try:
            return self._canary.stat().st_mode & 0o777 == 0o644 and self._canary.read_text() == "secret"
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._home.close()


class ForkedLandlock(Forking, Landlock):
    """Tier 2, forked."""

    async def start_server(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> ForkServer:
        return await CageServer.start(limits, self._home, files=files)

    def others(self) -> dict[str, int]:
        assert self.server is not None
        return super().others() | {"the fork server": self.server.server_pid}


class Unprotected:
    """Tier 3."""

    is_slow = False

    def __init__(self) -> None:
        self.tier = Tier(number=3, name="process", weaker="Nothing stops hostile code: only trusted code may run.")
        self._home = Home(with_environment=False)

    async def start(self, limits: Limits, files: Sequence[tuple[bytes, str]]) -> Process:
        return await Plain.start_plain(limits, self._home, files=files)

    def question(self, limits: Limits) -> str:
        return check.environment_question()

    def faults(self, answer: str, init_pid: int, limits: Limits) -> list[str]:
        return list(check.environment_faults(answer))

    def close(self) -> None:
        self._home.close()


def isolations(number: int) -> Iterator[Isolation]:
    """The ways to isolate a session at this tier, the preferred one first.

    Raises:
        SandboxUnavailable: there is none on this machine.
    """
    if number == 3:
        yield Unprotected()
    elif sys.platform != "linux":
        raise SandboxUnavailable(f"this is {sys.platform}, not Linux")
    elif number == 2:
        yield ForkedLandlock()
        yield Landlock()
    else:
        for program in jail.bwraps():
            yield ForkedBubblewrap(program)
            yield Bubblewrap(program)


def remedy(reason: str) -> str:
    """What to do so that tier 1 works, in sentences."""
    if sys.platform != "linux":
        return ELSEWHERE
    if not any(word in reason for word in ("bwrap", "Permission denied", "not permitted", "namespace")):
        return ""
    hints = [
        f"The kernel forbids user namespaces; allow them with `{command}`."
        for switch, forbids, command in SWITCHES
        if (file := Path("/proc/sys", switch)).exists() and file.read_text().strip() == forbids
    ]
    return " ".join(hints) or IN_A_CONTAINER

"""The tiers of isolation: what each stops, how it starts a session, and how it proves itself.

| tier | where | what holds a session |
|---|---|---|
| 1 | Linux with user namespaces | bubblewrap: own namespaces, own file systems of limited size, seccomp, limits |
| 2 | Linux without | Landlock, seccomp, limits, as root a user of its own; watched sizes of files |
| 3 | elsewhere | a process with limits and an empty environment: for the built-in model's own code only |
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local.openai_emulator.sandbox import cage, check, jail
from local.openai_emulator.sandbox.cage import Caged, Home
from local.openai_emulator.sandbox.errors import SandboxUnavailable
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


class Landlock:
    """Tier 2."""

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

    def question(self, limits: Limits) -> str:
        return check.shared_question(str(self._canary), limits)

    def faults(self, answer: str, init_pid: int, limits: Limits) -> list[str]:
        faults = list(check.shared_faults(answer, init_pid))
        if self._canary.stat().st_mode & 0o777 != 0o644 or self._canary.read_text() != "secret":
            faults.append("a file of this machine could be changed")
        return faults

    def close(self) -> None:
        self._home.close()


class Unprotected:
    """Tier 3."""

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
        yield Landlock()
    else:
        yield from map(Bubblewrap, jail.bwraps())


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

"""Tier 3: a separate process with limits, a folder of its own and an empty environment, on any system.

This does not stop hostile code: it is for code of the built-in model, whose text is part of this project.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local.openai_emulator.sandbox import jail
from local.openai_emulator.sandbox.cage import Home
from local.openai_emulator.sandbox.errors import FileRefused, SandboxUnavailable
from local.openai_emulator.sandbox.folder import Folder, Stamp, check_name, delete_tree
from local.openai_emulator.sandbox.limits import Limits
from local.openai_emulator.sandbox.output import FileOutput
from local.openai_emulator.sandbox.process import Process

RLIMITS = ("RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE")  # the others differ between systems
NEEDED_ON_WINDOWS = ("SYSTEMROOT",)


class Plain(Process):
    """An ordinary process of this user."""

    output: FileOutput  # type: ignore[assignment]

    @classmethod
    async def start_plain(cls, limits: Limits, home: Home, *, files: Sequence[tuple[bytes, str]]) -> Plain:
        """Start the runner and wait until it has connected.

        Raises:
            SandboxUnavailable: it does not start.
        """
        folders = home.session_folders(uid=None)
        for content, place in files:
            copy = Path(folders[jail.TMP]) / Path(place).relative_to(jail.TMP)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(content)
        output = FileOutput(Path(folders[jail.TMP]).with_name("output"), limit_bytes=limits.output_bytes)
        token = secrets.token_hex(16)
        with contextlib.ExitStack() as kept, socket.create_server(("127.0.0.1", 0)) as listener:
            kept.callback(output.close)
            listener.setblocking(False)
            started = _start(limits, home, folders, output, f"{listener.getsockname()[1]}:{token}")
            kept.callback(started.kill)
            try:
                async with asyncio.timeout(limits.start_s):
                    channel = await _accept(listener, token)
            except TimeoutError:
                raise SandboxUnavailable(output.take() or "the process does not connect") from None
            kept.pop_all()
        process = cls(started, channel, output)  # type: ignore[arg-type]
        process.folders = folders
        process.own_disk = False
        return process

    def arm(self) -> None:
        """Nothing to do: this system may have no /proc."""

    async def pause(self) -> bool:
        return True

    def resume(self) -> None:
        return

    def open_folder(self, path: str) -> Folder:
        return PlainFolder(Path(path))

    def excess(self, folders: Sequence[Folder], limits: Limits) -> str | None:
        return None

    async def wait(self) -> int:
        while (status := self.started.poll()) is None:  # noqa: ASYNC110  a thread that waits could not be ended
            await asyncio.sleep(0.02)
        return 128 - status if status < 0 else status

    async def kill(self) -> int:
        """Kill the process, and on POSIX the group that it leads."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.started.pid, signal.SIGKILL)
            else:
                self.started.kill()
        return await self.wait()

    def close(self) -> None:
        super().close()
        delete_tree(Path(self.folders[jail.DATA]).parent)


def _start(
    limits: Limits, home: Home, folders: dict[str, str], output: FileOutput, channel: str
) -> subprocess.Popen[bytes]:
    rlimits = {name: value for name, value in jail.rlimits(limits).items() if name in RLIMITS}
    environment = home.environment(folders)
    environment |= {name: os.environ[name] for name in NEEDED_ON_WINDOWS if name in os.environ}
    try:
        return subprocess.Popen(
            [sys.executable, "-I", str(jail.RUNNER), channel, json.dumps(rlimits), json.dumps(folders)],
            stdin=subprocess.DEVNULL,
            stdout=output.writer,
            stderr=output.writer,
            env=environment,
            start_new_session=True,
        )
    except OSError as exc:
        raise SandboxUnavailable(f"{sys.executable} does not start: {exc}") from exc


async def _accept(listener: socket.socket, token: str) -> socket.socket:
    """The connection that knows the token; others are closed."""
    loop = asyncio.get_running_loop()
    while True:
        channel, _ = await loop.sock_accept(listener)
        channel.setblocking(False)
        said = b""
        while len(said) < len(token) and (part := await loop.sock_recv(channel, len(token) - len(said))):
            said += part
        if secrets.compare_digest(said, token.encode()):
            return channel
        channel.close()


class PlainFolder(Folder):
    """A folder by its path, for systems without `openat2`. Links are not followed, but nothing stops a race."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def close(self) -> None:
        return

    def write(self, filename: str, source: Path) -> None:
        target = self._place(filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(source, target)

    def read(self, filename: str, *, limit_bytes: int) -> bytes:
        place = self._place(filename)
        if not stat.S_ISREG(place.lstat().st_mode):
            raise FileRefused(f"{filename!r} is not a regular file.")
        with place.open("rb") as file:
            content = file.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise FileRefused(f"{filename!r} is larger than {limit_bytes:,} bytes.")
        return content

    def files(self) -> dict[str, Stamp]:
        found = {}
        for path in sorted(self._folder.rglob("*")):
            entry = path.lstat()
            if stat.S_ISREG(entry.st_mode):
                found[path.relative_to(self._folder).as_posix()] = Stamp.of(entry)
        return found

    def remove(self, filename: str) -> None:
        self._place(filename).unlink(missing_ok=True)

    def _place(self, filename: str) -> Path:
        for part in filename.split("/"):
            check_name(part)
        place = self._folder / filename
        if not place.resolve().is_relative_to(self._folder.resolve()):
            raise FileRefused(f"{filename!r} leads out of the session's folder.")
        return place

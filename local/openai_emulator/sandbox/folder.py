"""Access from the host to a session's folder.

The code in the session owns this folder and may be hostile: it can place links to host files, FIFOs that block readers,
or replace a folder by a link between two accesses. So the host opens nothing by absolute path. The kernel resolves
every name below one open descriptor and refuses links on the whole path (`openat2`); then the opened file is checked.

Source: https://man7.org/linux/man-pages/man2/openat2.2.html
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import shutil
import stat
import struct
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from local.openai_emulator.sandbox.errors import FileRefused

SYS_OPENAT2 = 437  # on x86-64 and aarch64
RESOLVE = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH
MAX_NAME_BYTES = 255
MAX_DEPTH = 16
CHUNK_BYTES = 1 << 20
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # since it was listed


class Stamp(NamedTuple):
    """Changes when a file is written."""

    inode: int
    size_bytes: int  # apparent
    disk_bytes: int  # allocated
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, entry: os.stat_result) -> Stamp:
        return cls(entry.st_ino, entry.st_size, entry.st_blocks * 512, entry.st_mtime_ns, entry.st_ctime_ns)


def check_name(filename: str) -> str:
    """Return the name if it is allowed for a file in a session: one path component, in any language.

    Raises:
        FileRefused: it is not allowed.
    """
    if filename in ("", ".", ".."):
        raise FileRefused("A file needs a name.")
    if any(c in "/\\" or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in filename):
        raise FileRefused(f"The file name {filename!r} holds a slash or a control character.")
    if len(filename.encode()) > MAX_NAME_BYTES:
        raise FileRefused(f"The file name is longer than {MAX_NAME_BYTES} bytes.")
    return filename


def delete_tree(folder: Path) -> None:
    """Delete a folder of a session that has ended, whatever its code has left there; what cannot go stays."""
    with contextlib.suppress(RecursionError):  # of a tree that is very deep
        shutil.rmtree(folder, ignore_errors=True)
    if sys.platform != "win32" and os.path.lexists(folder):  # very deep, or closed by its owner
        for command in (("chmod", "-R", "u+rwx"), ("rm", "-rf")):
            subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)


class Folder:
    """A folder, accessed through its descriptor, which it owns. Every method blocks: call it in a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._owner = os.fstat(descriptor)
        self._lock = threading.Lock()  # no thread may use the descriptor's number after it is closed

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def write(self, filename: str, source: Path) -> None:
        """Copy a host file into the folder; replaces a file of that name, makes the folders on its path.

        Raises:
            FileRefused: the name is not allowed, the folder is full, or the code has put something in the way.
        """
        *folders, name = filename.split("/")
        for part in (*folders, name):
            check_name(part)
        try:
            self._make_usable()
            for depth in range(len(folders)):
                self._make_folder("/".join(folders[: depth + 1]))
            self.remove(filename)
            target = self._open(filename, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o644)
            with os.fdopen(target, "wb") as into, source.open("rb") as out_of:
                os.fchown(target, self._owner.st_uid, self._owner.st_gid)
                shutil.copyfileobj(out_of, into, CHUNK_BYTES)
        except OSError as exc:
            if exc.filename == str(source):
                raise
            with contextlib.suppress(OSError):
                self.remove(filename)
            raise FileRefused(f"{filename!r} could not be put into the session: {exc.strerror}.") from exc

    def read(self, filename: str, *, limit_bytes: int) -> bytes:
        """The content of a regular file; `filename` is relative and may contain slashes.

        Raises:
            FileNotFoundError: there is no such file.
            FileRefused: it is a link, a FIFO or a folder, is too large, or its name is not allowed.
        """
        for part in filename.split("/"):
            check_name(part)
        try:
            opened = self._open(filename, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise FileRefused(f"{filename!r} is not a file of the session: {exc.strerror}.") from exc
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise FileRefused(f"{filename!r} is not a regular file.")
        with os.fdopen(opened, "rb") as file:
            content = file.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise FileRefused(f"{filename!r} is larger than {limit_bytes:,} bytes.")
        return content

    def files(self) -> dict[str, Stamp]:
        """The stamps of all regular files with an allowed name, by relative name, sorted."""
        return dict(sorted(self._walk("", 0)))

    def usage(self, enough: int) -> tuple[int, int]:
        """The number of files and folders below it and their allocated bytes; stops beyond `enough` files.

        For a folder that is not a file system of its own. What cannot be looked at counts as too much: what lies too
        deep, a path that is too long, a folder that its owner has closed.
        """
        count, size_bytes, folders = 0, 0, [(".", 0)]
        while folders and count <= enough:
            place, depth = folders.pop()
            try:
                opened = self._open(place, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as exc:
                if exc.errno in _REPLACED:
                    continue
                return enough + 1, size_bytes
            try:
                with os.scandir(opened) as entries:
                    for entry in entries:
                        stat_result = entry.stat(follow_symlinks=False)
                        count, size_bytes = count + 1, size_bytes + stat_result.st_blocks * 512
                        if stat.S_ISDIR(stat_result.st_mode):
                            folders.append((f"{place}/{entry.name}", depth + 1))
                            count += enough * (depth >= 4 * MAX_DEPTH)
            except FileNotFoundError:
                continue
            finally:
                os.close(opened)
        return count, size_bytes

    def inodes(self) -> int:
        """The number of files and folders in its file system."""
        with self._lock:
            there = os.fstatvfs(self._descriptor)
        return there.f_files - there.f_ffree

    def _walk(self, prefix: str, depth: int) -> Iterator[tuple[str, Stamp]]:
        try:
            opened = self._open(prefix or ".", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:  # moved or replaced since it was listed
            return
        try:
            with os.scandir(opened) as entries:
                found = [
                    (entry.name, entry.stat(follow_symlinks=False)) for entry in entries if _is_allowed(entry.name)
                ]
        except FileNotFoundError:
            return
        finally:
            os.close(opened)
        for name, entry in found:
            if stat.S_ISREG(entry.st_mode):
                disk_bytes = entry.st_blocks * 512
                yield (
                    prefix + name,
                    Stamp(entry.st_ino, entry.st_size, disk_bytes, entry.st_mtime_ns, entry.st_ctime_ns),
                )
            elif stat.S_ISDIR(entry.st_mode) and depth < MAX_DEPTH:
                yield from self._walk(f"{prefix}{name}/", depth + 1)

    def remove(self, filename: str) -> None:
        """Delete a file, if it is there; `filename` is relative and may contain slashes.

        Raises:
            OSError: it could not be deleted.
        """
        with contextlib.suppress(FileNotFoundError), self._parent(filename) as (parent, name):
            os.unlink(name, dir_fd=parent)

    def _make_folder(self, name: str) -> None:
        with self._parent(name) as (parent, last), contextlib.suppress(FileExistsError):
            os.mkdir(last, 0o755, dir_fd=parent)
            os.chown(last, self._owner.st_uid, self._owner.st_gid, dir_fd=parent, follow_symlinks=False)

    def _make_usable(self) -> None:
        """Undo a `chmod` by which the code shut out the host, which may be an ordinary user."""
        with self._lock:
            if os.fstat(self._descriptor).st_mode & 0o700 != 0o700:
                os.fchmod(self._descriptor, 0o777)

    @contextlib.contextmanager
    def _parent(self, filename: str) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds `filename`, and its name there."""
        folder, _, name = filename.rpartition("/")
        opened = self._open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield opened, name
        finally:
            os.close(opened)

    def _open(self, name: str, flags: int, *, mode: int = 0) -> int:
        how = struct.pack("=QQQ", flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode, RESOLVE)
        size = ctypes.c_size_t(len(how))
        with self._lock:
            opened = int(_libc().syscall(SYS_OPENAT2, self._descriptor, os.fsencode(name), how, size))
            code = ctypes.get_errno()
        if opened < 0:
            raise OSError(code, os.strerror(code), name)
        return opened


def _is_allowed(name: str) -> bool:
    try:
        check_name(name)
    except FileRefused:
        return False
    return True


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)

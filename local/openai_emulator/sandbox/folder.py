"""A session's folder, as the host reaches into it.

The code in the session owns this folder and may be hostile: a link to the host's files, a FIFO that never answers, a
folder swapped for a link between two looks. So nothing is ever opened by an absolute path. Every name is resolved by
the kernel below one open descriptor, with links refused on the whole way (`openat2`), and the opened file is checked.

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
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from local.openai_emulator.sandbox.errors import FileRefused

SYS_OPENAT2 = 437  # on x86-64 and aarch64
RESOLVE = 0x01 | 0x02 | 0x04 | 0x08  # NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH
MAX_NAME_BYTES = 255
MAX_DEPTH = 16
CHUNK_BYTES = 1 << 20

Stamp = tuple[int, int, int, int]  # inode, size in bytes, mtime and ctime in ns: differs once a file was written


def check_name(filename: str) -> str:
    """The name, when it may be that of a file in a session: one path component, any language.

    Raises:
        FileRefused: it is not.
    """
    if filename in ("", ".", ".."):
        raise FileRefused("A file needs a name.")
    if any(c in "/\\" or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in filename):
        raise FileRefused(f"The file name {filename!r} holds a slash or a control character.")
    if len(filename.encode()) > MAX_NAME_BYTES:
        raise FileRefused(f"The file name is longer than {MAX_NAME_BYTES} bytes.")
    return filename


class Folder:
    """One folder, by its descriptor, which it owns. Every method blocks: call them in a thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._owner = os.fstat(descriptor)
        self._lock = threading.Lock()  # so that nobody uses the descriptor's number once it is closed

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def write(self, filename: str, source: Path) -> None:
        """Copy a host file in, in place of what had that name.

        Raises:
            FileRefused: the name is not allowed, or the folder is full.
        """
        check_name(filename)
        try:
            self._unlink(filename)
            target = self._open(filename, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o644)
            with os.fdopen(target, "wb") as into, source.open("rb") as out_of:
                os.fchown(target, self._owner.st_uid, self._owner.st_gid)
                shutil.copyfileobj(out_of, into, CHUNK_BYTES)
        except OSError as exc:
            if exc.errno in (errno.ENOSPC, errno.EISDIR, errno.EEXIST):
                with contextlib.suppress(OSError):
                    self._unlink(filename)
                raise FileRefused(f"{filename!r} could not be put into the session: {exc.strerror}.") from exc
            raise

    def read(self, filename: str, *, limit_bytes: int) -> bytes:
        """A regular file's content; `filename` is relative and may hold slashes.

        Raises:
            FileNotFoundError: there is none of that name.
            FileRefused: a link, a FIFO, a folder, too large, or a name that is not allowed.
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
        """The regular files with an allowed name, by their relative name, sorted."""
        return dict(sorted(self._walk("", 0)))

    def inodes(self) -> int:
        """How many files and folders its file system holds."""
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
                yield prefix + name, (entry.st_ino, entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns)
            elif stat.S_ISDIR(entry.st_mode) and depth < MAX_DEPTH:
                yield from self._walk(f"{prefix}{name}/", depth + 1)

    def _unlink(self, filename: str) -> None:
        with self._lock, contextlib.suppress(FileNotFoundError):
            os.unlink(filename, dir_fd=self._descriptor)

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

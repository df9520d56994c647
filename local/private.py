"""Files and folders that only their user may read: they hold documents, keys and logs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from local.errors import LocalError

OTHERS = 0o077  # the rights of group and others; as umask, new files and folders have none of them


def private_folder(path: Path) -> Path:
    """Create a folder if needed, and take the rights of other users from it and, if it has been open, from all in it.

    Raises:
        LocalError: it belongs to another user.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_open(path):
        return path
    try:
        _close(path)
    except PermissionError as exc:
        raise LocalError(f"Other users can read {path}, and its rights cannot be changed.", owner_fix(path)) from exc
    return path


def private_file(path: Path) -> Path:
    """Create a file if needed, and take the rights of other users from it."""
    path.touch(mode=0o600)
    path.chmod(0o600)  # it may have existed
    return path


def is_open(path: Path) -> bool:
    """Whether other users have any right on a file or folder. Windows has no such bits: a home is private there."""
    return sys.platform != "win32" and bool(path.stat().st_mode & OTHERS)


def is_foreign(path: Path) -> bool:
    """Whether a file or folder belongs to another user."""
    return sys.platform != "win32" and path.stat().st_uid != os.geteuid()


def owner_fix(path: Path) -> str:
    """The command that gives a folder to this user alone."""
    return f'sudo chown -R "$(id -un)" {path} && chmod -R go-rwx {path}'


def _close(folder: Path) -> None:
    """Take the rights of others; from the folder last, so that an interrupted call is made up for by the next one."""
    for at, folders, files in os.walk(folder, topdown=False):
        for name in (*files, *folders):
            path = Path(at, name)
            if not path.is_symlink() and is_open(path):
                path.chmod(path.stat().st_mode & 0o700)
    folder.chmod(0o700)

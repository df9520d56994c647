"""What is wrong with this machine and what to do, from an error of the operating system or an installer's output.

Pure functions of the standard library. make.py imports this file with whichever Python it was started, so the syntax is
that of Python 3.8.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Fault(NamedTuple):
    """One sentence each: what is wrong, and what to do."""

    message: str
    advice: str


# An installer's output -> what is wrong. The first that matches counts.
INSTALLER_FAULTS = (
    (r"No space left on device|ENOSPC|Disk quota exceeded|not enough space on the disk", "full"),
    (r"not yet valid|certificate has expired|CERT_NOT_YET_VALID|CERT_HAS_EXPIRED", "clock"),
    (r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY)|certificate verify failed", "certificate"),
    (r"Read-only file system|EROFS", "read-only"),
    (r"Permission denied|EACCES|EPERM|Access is denied", "permission"),
    (r"DO NOT MATCH THE HASHES|EINTEGRITY", "hashes"),
    (r"ensurepip is not available|No module named '?(ensurepip|venv)", "venv"),
    (
        r"NewConnectionError|NameResolutionError|name resolution|Failed to establish|ENOTFOUND|EAI_AGAIN|ECONNREFUSED"
        r"|ECONNRESET|ETIMEDOUT|ENETUNREACH|timed out|Network is unreachable|ProxyError|from versions: none",
        "network",
    ),
    (r"No matching distribution|is not a supported wheel", "platform"),
)
ADVICE = {
    "full": Fault("The disk is full.", "Free about 1 GB, then run the command again: it continues where it stopped."),
    "certificate": Fault(
        "The certificate of the package registry is not trusted here.",
        "Behind a proxy that inspects traffic, set PIP_CERT and NODE_EXTRA_CA_CERTS to its certificate file.",
    ),
    "read-only": Fault(
        "A folder cannot be written: its file system is read-only.",
        "Copy the project to a folder that you can write, and run the command there.",
    ),
    "permission": Fault(
        "A folder cannot be written: it belongs to another user.",
        "Run `sudo chown -R $(id -un) .venv .local` in the project's folder, then run the command again.",
    ),
    "hashes": Fault(
        "A downloaded package is not the one that the lock file names.",
        "Run the command again; if that does not help, the proxy or mirror in between alters packages.",
    ),
    "venv": Fault(
        "This Python cannot create a virtual environment: its modules venv and ensurepip are missing.",
        "On Debian and Ubuntu: `sudo apt install python3-venv`. Then run the command again.",
    ),
    "network": Fault(
        "The package registry cannot be reached.",
        "Check the network (behind a proxy: HTTPS_PROXY; with a mirror: PIP_INDEX_URL and npm's `registry`), "
        "then run the command again. Once everything is installed, no network is needed.",
    ),
    "platform": Fault(
        "A package has no build for this machine.",
        "Packages exist for 64-bit Linux with glibc 2.28 or newer, macOS and Windows, with Python 3.11 to 3.14.",
    ),
}


def installer_fault(output: str) -> Fault | None:
    """What an installer's output says about the machine; None if it says nothing that is known."""
    for pattern, kind in INSTALLER_FAULTS:
        if re.search(pattern, output):
            return clock_fault(time.strftime("%Y-%m-%d %H:%M %Z")) if kind == "clock" else ADVICE[kind]
    return None


def clock_fault(now: str) -> Fault:
    return Fault(
        f"The certificate of the package registry is not valid at this machine's time, {now}.",
        "Set the clock: `sudo timedatectl set-ntp true` (Windows: `w32tm /resync`). Then run the command again.",
    )


def os_fault(exc: OSError) -> Fault | None:
    """What an error of the operating system says about the machine; None for errors that are not of these kinds.

    The disk is full, a file system is read-only, a file belongs to another user.
    """
    name = exc.filename or exc.filename2
    path = Path(os.fsdecode(name)) if isinstance(name, (str, bytes)) else None
    where = str(path) if path else "A file"
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fault("The disk is full.", f"Free some space{f' where {path} is' if path else ''}, then run it again.")
    if exc.errno == errno.EROFS:
        return Fault(f"{where} cannot be written: the file system is read-only.", ADVICE["read-only"].advice)
    if exc.errno in (errno.EACCES, errno.EPERM):
        return Fault(f"{where} cannot be {'written' if path else 'used'}{_owner(path)}.", _take_over(path))
    return None


def _owner(path: Path | None) -> str:
    """Whom the first existing folder of a path belongs to, if not to this user."""
    found = _existing(path)
    if sys.platform == "win32" or found is None or found.stat().st_uid == os.getuid():
        return ""
    import pwd

    uid = found.stat().st_uid
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = f"uid {uid}"
    return f": {found} belongs to {owner}"


def _take_over(path: Path | None) -> str:
    found = _existing(path)
    if sys.platform == "win32" or found is None:
        return "Give your user the right to write there, then run the command again."
    return f"Run `sudo chown -R {os.getuid()} '{found}'` (or delete it), then run the command again."


def _existing(path: Path | None) -> Path | None:
    """The deepest folder or file of a path that can be seen."""
    for candidate in [path, *path.parents] if path else []:
        try:
            candidate.stat()
        except OSError:
            continue
        return candidate
    return None

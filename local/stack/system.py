"""What differs between systems: locks on files, process groups, whether a process exists.

On Windows there are no process groups to signal: a process gets Ctrl-Break, and `taskkill` ends it with its children.
"""

import os
import signal
import subprocess
import sys
from typing import IO, Any

if sys.platform == "win32":
    import ctypes
    import msvcrt

    LOCKED_BYTE = 1 << 30  # far behind the content, which others can then read
    QUERY_LIMITED_INFORMATION = 0x1000
    STILL_ACTIVE = 259
    OWN_GROUP: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}

    def try_lock(file: IO[Any], *, shared: bool = False) -> bool:
        """Lock a file until it is closed; False if another process holds the lock. `shared` is not possible here."""
        file.seek(LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            file.seek(0)
        return True

    def end_group(pid: int, *, kill: bool) -> None:
        """Ask a process to end, or kill it with its children."""
        if kill:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
            return
        try:
            os.kill(pid, signal.CTRL_BREAK_EVENT)
        except OSError:  # it has ended
            return

    def has_ended(pid: int) -> bool:
        """Whether no process has this pid. Source: https://learn.microsoft.com/windows/win32/api/processthreadsapi"""
        handle = ctypes.windll.kernel32.OpenProcess(QUERY_LIMITED_INFORMATION, False, pid)
        if not handle:
            return True
        code = ctypes.c_ulong()
        ctypes.windll.kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        ctypes.windll.kernel32.CloseHandle(handle)
        return code.value != STILL_ACTIVE

else:
    import fcntl

    OWN_GROUP: dict[str, Any] = {"start_new_session": True}

    def try_lock(file: IO[Any], *, shared: bool = False) -> bool:
        """Lock a file until it is closed; False if another process holds the lock."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def end_group(pid: int, *, kill: bool) -> None:
        """Send SIGTERM or SIGKILL to the process group of `pid`; does nothing if the group no longer exists."""
        try:
            os.killpg(pid, signal.SIGKILL if kill else signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            return

    def has_ended(pid: int) -> bool:
        """Whether no process has this pid."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # another user's
            return False
        return False


def handle_end(handler: Any) -> None:
    """Call `handler(number, frame)` on every signal by which people and systems end a process."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if (number := getattr(signal, name, None)) is not None:  # SIGHUP not on Windows, SIGBREAK only there
            signal.signal(number, handler)

"""The names that every program may use."""

from __future__ import annotations

import os

from local.openai_emulator.sandbox import seccomp

_NUMBERS = {name: seccomp.MACHINES[os.uname().machine].calls.get(name) for name in seccomp.X86_64}

PRELUDE = f"""
import array, ctypes, fcntl, glob, mmap, os, resource, select, signal, socket, stat, struct, subprocess, sys
import threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = libc.mmap.restype = libc.sbrk.restype = ctypes.c_long
libc.mmap.argtypes = [ctypes.c_long] * 6
NUMBERS = {_NUMBERS}

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def call(name, *arguments):
    "A system call; one that this machine has not is refused."
    if NUMBERS[name] is None:
        raise OSError(38, name)
    return checked(libc.syscall(NUMBERS[name], *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))

def need(reached):
    if not reached:
        raise PermissionError("without effect")

def any_of(action, *places):
    "At least one of them."
    for place in places:
        try:
            return action(place)
        except OSError as exc:
            last = exc
    raise last

def without_end(make, most=5000):
    "More than any limit."
    kept = [make() for _ in range(most)]

def limit(kind):
    checked(libc.setrlimit(kind, struct.pack("=QQ", 1 << 40, 1 << 40)))

def fork(action):
    pid = os.fork()
    if pid == 0:
        try:
            action()
        finally:
            os._exit(0)
    return pid
"""

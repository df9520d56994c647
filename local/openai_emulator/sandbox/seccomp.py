"""A seccomp filter, in classic BPF, for the system calls that a session may not make.

Namespaces and dropped capabilities forbid many of these calls already. The filter also keeps their kernel code out of
reach, and forbids calls that no namespace covers: those whose memory no limit counts (`memfd_create`, System V and
anonymous shared memory, `vmsplice`), and those that use up counters of the whole machine (`io_setup`, inotify).

Where a session shares the machine's namespaces (tier 2), `SHARED_MACHINE` is forbidden, too: signals to and limits of
other processes of the same user, sockets, and changes of mode, owner and times, which Landlock does not restrict.
Sources: https://docs.kernel.org/userspace-api/seccomp_filter.html, the kernel's syscall tables.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from local.openai_emulator.sandbox.errors import SandboxUnavailable

# offsets in struct seccomp_data; the low half of an argument comes first on both (little-endian) machines
NR, ARCH, ARG0, ARG1, ARG2, ARG3 = 0, 4, 16, 24, 32, 40

LOAD, AND, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

NAMESPACE_FLAGS = 0x7E020080  # CLONE_NEWUSER|PID|NET|IPC|UTS|CGROUP, NEWNS, NEWTIME
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # write input to the terminal that started the emulator
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902  # direct signals to any process
F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETPIPE_SZ = 8, 10, 15, 1031
PR_SET_DUMPABLE = 4  # would hide the process from the watchdog
MAP_SHARED, MAP_ANONYMOUS, MAP_HUGETLB = 0x01, 0x20, 0x40000  # no process is charged for huge pages
AF_UNIX, SOCK_STREAM = 1, 1
SOCKET_BUFFERS = (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF, and those by force: no process is charged for them
X32_BIT = 0x40000000  # x86-64's second syscall table


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine's audit number and its numbers of the filtered system calls."""

    arch: int
    calls: dict[str, int]
    has_x32: bool = False


# fmt: off
# the same numbers on every machine, as for all calls since Linux 5.1
SHARED = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "pidfd_getfd": 438,
    "process_madvise": 440, "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447, "statmount": 457,
    "listmount": 458, "open_tree_attr": 467, "pidfd_send_signal": 424, "pidfd_open": 434, "fchmodat2": 452,
    "setxattrat": 463, "removexattrat": 466, "file_setattr": 469,
}
X86_64 = SHARED | {
    "ioctl": 16, "shmget": 29, "shmat": 30, "socket": 41, "clone": 56, "semget": 64, "msgget": 68, "ptrace": 101,
    "syslog": 103, "uselib": 134, "personality": 135, "modify_ldt": 154, "pivot_root": 155, "adjtimex": 159,
    "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168,
    "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173, "init_module": 175,
    "delete_module": 176, "quotactl": 179, "lookup_dcookie": 212, "clock_settime": 227, "kexec_load": 246,
    "add_key": 248, "request_key": 249, "keyctl": 250, "migrate_pages": 256, "unshare": 272, "move_pages": 279,
    "perf_event_open": 298, "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "clock_adjtime": 305, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
    "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    "io_setup": 206, "inotify_init": 253, "inotify_init1": 294, "vmsplice": 278, "fcntl": 72, "mmap": 9, "prctl": 157,
    "kill": 62, "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297, "prlimit64": 302,
    "setpriority": 141, "sched_setparam": 142, "sched_setscheduler": 144, "sched_setaffinity": 203,
    "ioprio_set": 251, "sched_setattr": 314, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53,
    "setsockopt": 54, "sendmsg": 46, "sendmmsg": 307,
    "setpgid": 109, "setsid": 112, "truncate": 76, "semop": 65, "semctl": 66, "semtimedop": 220, "shmctl": 31,
    "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241, "sync": 162, "syncfs": 306,
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280, "setxattr": 188, "lsetxattr": 189,
    "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
}
AARCH64 = SHARED | {
    "lookup_dcookie": 18, "ioctl": 29, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60,
    "acct": 89, "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106,
    "clock_settime": 112, "syslog": 116, "ptrace": 117, "reboot": 142, "sethostname": 161, "setdomainname": 162,
    "settimeofday": 170, "adjtimex": 171, "msgget": 186, "semget": 190, "shmget": 194, "shmat": 196, "socket": 198,
    "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "swapoff": 225,
    "migrate_pages": 238, "move_pages": 239, "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "kcmp": 272, "finit_module": 273, "memfd_create": 279, "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
    "io_setup": 0, "inotify_init1": 26, "vmsplice": 75, "fcntl": 25, "mmap": 222, "prctl": 167,
    "kill": 129, "tkill": 130, "tgkill": 131, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240, "prlimit64": 261,
    "setpriority": 140, "sched_setparam": 118, "sched_setscheduler": 119, "sched_setaffinity": 122,
    "ioprio_set": 30, "sched_setattr": 274, "connect": 203, "bind": 200, "listen": 201, "socketpair": 199,
    "setsockopt": 208, "sendmsg": 211, "sendmmsg": 269,
    "setpgid": 154, "setsid": 157, "truncate": 45, "semop": 193, "semctl": 191, "semtimedop": 192, "shmctl": 195,
    "msgsnd": 189, "msgrcv": 188, "msgctl": 187, "mq_open": 180, "mq_unlink": 181, "sync": 81, "syncfs": 267,
    "fchmod": 52, "fchmodat": 53, "fchown": 55, "fchownat": 54, "utimensat": 88, "setxattr": 5, "lsetxattr": 6,
    "fsetxattr": 7, "removexattr": 14, "lremovexattr": 15, "fremovexattr": 16,
}
# fmt: on

MACHINES = {
    "x86_64": Machine(arch=0xC000003E, calls=X86_64, has_x32=True),
    "aarch64": Machine(arch=0xC00000B7, calls=AARCH64),
}

BY_ARGUMENT = {
    "clone",
    "socket",
    "ioctl",
    "fcntl",
    "mmap",
    "prctl",
    "prlimit64",
    "socketpair",
    "setsockopt",
}  # see _instructions
UNSUPPORTED = {"clone3", "memfd_create", "memfd_secret", "io_setup"}  # ENOSYS: libraries then use older calls
WITHOUT_EFFECT = {"sync", "syncfs"}  # these return 0 and do nothing
SIGNALS = {"kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open"}
# without effect where the machine is shared, as `shutil.copy` and `zipfile` need no mode, owner or time
ATTRIBUTES = {
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat", "utime", "utimes"),
    *("futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    *("setxattrat", "removexattrat", "file_setattr"),
}
SHARED_MACHINE = ATTRIBUTES | {
    *("setpriority", "sched_setparam", "sched_setscheduler", "sched_setaffinity", "sched_setattr", "ioprio_set"),
    *("connect", "bind", "listen", "setpgid", "setsid", "truncate", "semop", "semctl", "semtimedop", "shmctl"),
    *("msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"),
    *("sendmsg", "sendmmsg"),  # a deleted file whose descriptor is under way in a socket is in no process's list
}


def program(machine: str | None = None, *, shared: bool = False, signals: bool = True) -> bytes:
    """The filter as an array of `struct sock_filter`, as `bwrap --seccomp` takes it.

    Args:
        machine: As in `uname -m`; None: this machine.
        shared: The session shares the namespaces of this machine.
        signals: With `shared`: signals may be sent, since something else keeps them inside the session.

    Raises:
        SandboxUnavailable: there is no table of system calls for this machine.
    """
    name = machine or platform.machine()
    if name not in MACHINES:
        raise SandboxUnavailable(f"The sandbox has no system call filter for {name}; it runs on x86_64 and aarch64.")
    allowed = BY_ARGUMENT | (set() if shared else SHARED_MACHINE) | (SIGNALS if signals or not shared else set())
    instructions = _instructions(MACHINES[name], allowed, shared=shared)
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


Instruction = tuple[int, int, int, int]  # code, skip if true, skip if false, operand


def _instructions(machine: Machine, allowed: set[str], *, shared: bool) -> Iterable[Instruction]:
    yield (LOAD, 0, 0, ARCH)
    yield from _unless(JUMP_EQUAL, machine.arch, KILL_PROCESS)
    yield (LOAD, 0, 0, NR)
    if machine.has_x32:
        yield from _when(JUMP_GREATER_EQUAL, X32_BIT, ERRNO | errno.ENOSYS)
    for name, number in machine.calls.items():
        if name not in allowed:
            yield from _when(JUMP_EQUAL, number, ERRNO | _error(name))
    for name, offset, checks in _checks(shared=shared):
        yield from _argument(machine.calls[name], offset, checks)
    yield (RETURN, 0, 0, ALLOW)


def _error(name: str) -> int:
    if name in UNSUPPORTED:
        return errno.ENOSYS
    return 0 if name in WITHOUT_EFFECT | ATTRIBUTES else errno.EPERM


def _checks(*, shared: bool) -> Iterator[tuple[str, int, list[Instruction]]]:
    """Calls that are allowed or not depending on an argument: name, the argument's offset, the checks."""
    refuse = ERRNO | errno.EPERM
    yield "clone", ARG0, _when(JUMP_SET, NAMESPACE_FLAGS, refuse)
    yield "mmap", ARG3, _when(JUMP_SET, MAP_HUGETLB, refuse)
    yield "mmap", ARG3, [(JUMP_SET, 0, 2, MAP_ANONYMOUS), *_when(JUMP_SET, MAP_SHARED, refuse)]
    yield "prctl", ARG0, _when(JUMP_EQUAL, PR_SET_DUMPABLE, refuse)
    for request in (TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP):
        yield "ioctl", ARG1, _when(JUMP_EQUAL, request, refuse)
    for command in (F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETPIPE_SZ):
        yield "fcntl", ARG1, _when(JUMP_EQUAL, command, refuse)
    for option in SOCKET_BUFFERS:
        yield "setsockopt", ARG2, _when(JUMP_EQUAL, option, refuse)
    if shared:
        yield "socket", ARG0, [(RETURN, 0, 0, ERRNO | errno.EACCES)]
        yield "socketpair", ARG1, [(AND, 0, 0, 0xF), *_unless(JUMP_EQUAL, SOCK_STREAM, ERRNO | errno.EACCES)]
        yield "prlimit64", ARG0, _unless(JUMP_EQUAL, 0, refuse)  # 0: of this process
    else:
        yield "socket", ARG0, _unless(JUMP_EQUAL, AF_UNIX, ERRNO | errno.EACCES)


def _when(test: int, operand: int, verdict: int) -> list[Instruction]:
    return [(test, 0, 1, operand), (RETURN, 0, 0, verdict)]


def _unless(test: int, operand: int, verdict: int) -> list[Instruction]:
    return [(test, 1, 0, operand), (RETURN, 0, 0, verdict)]


def _argument(number: int, offset: int, checks: list[Instruction]) -> list[Instruction]:
    """Apply `checks` to an argument of call `number`; the accumulator holds the call's number before and after."""
    inside = [(LOAD, 0, 0, offset), *checks, (LOAD, 0, 0, NR)]
    return [(JUMP_EQUAL, 0, len(inside), number), *inside]

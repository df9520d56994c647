"""A seccomp filter, in classic BPF, for the system calls that a session may not make.

Namespaces and dropped capabilities forbid most of these calls already. The filter also keeps their kernel code out of
reach, and forbids calls that no namespace covers, such as `memfd_create` and System V shared memory, whose memory no
limit counts. Sources: https://docs.kernel.org/userspace-api/seccomp_filter.html, the kernel's syscall tables.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from local.openai_emulator.sandbox.errors import SandboxUnavailable

# offsets in struct seccomp_data; the low half of an argument comes first on both (little-endian) machines
NR, ARCH, ARG0, ARG1 = 0, 4, 16, 24

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

NAMESPACE_FLAGS = 0x7E020080  # CLONE_NEWUSER|PID|NET|IPC|UTS|CGROUP, NEWNS, NEWTIME
TIOCSTI, TIOCLINUX = 0x5412, 0x541C  # write input to the terminal that started the emulator
AF_UNIX = 1
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
    "listmount": 458, "open_tree_attr": 467,
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
}
# fmt: on

MACHINES = {
    "x86_64": Machine(arch=0xC000003E, calls=X86_64, has_x32=True),
    "aarch64": Machine(arch=0xC00000B7, calls=AARCH64),
}

BY_ARGUMENT = ("clone", "socket", "ioctl")  # allowed or not depending on their arguments
UNSUPPORTED = ("clone3", "memfd_create", "memfd_secret")  # ENOSYS: libraries then use older calls


def program(machine: str | None = None) -> bytes:
    """The filter as an array of `struct sock_filter`, as `bwrap --seccomp` takes it.

    Raises:
        SandboxUnavailable: there is no table of system calls for this machine.
    """
    name = machine or platform.machine()
    if name not in MACHINES:
        raise SandboxUnavailable(f"The sandbox has no system call filter for {name}; it runs on x86_64 and aarch64.")
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in _instructions(MACHINES[name]))


Instruction = tuple[int, int, int, int]  # code, skip if true, skip if false, operand


def _instructions(machine: Machine) -> Iterable[Instruction]:
    yield (LOAD, 0, 0, ARCH)
    yield from _unless(JUMP_EQUAL, machine.arch, KILL_PROCESS)
    yield (LOAD, 0, 0, NR)
    if machine.has_x32:
        yield from _when(JUMP_GREATER_EQUAL, X32_BIT, ERRNO | errno.ENOSYS)
    for name, number in machine.calls.items():
        if name not in BY_ARGUMENT:
            yield from _when(JUMP_EQUAL, number, ERRNO | (errno.ENOSYS if name in UNSUPPORTED else errno.EPERM))
    yield from _argument(machine.calls["clone"], ARG0, _when(JUMP_SET, NAMESPACE_FLAGS, ERRNO | errno.EPERM))
    yield from _argument(machine.calls["socket"], ARG0, _unless(JUMP_EQUAL, AF_UNIX, ERRNO | errno.EACCES))
    for request in (TIOCSTI, TIOCLINUX):
        yield from _argument(machine.calls["ioctl"], ARG1, _when(JUMP_EQUAL, request, ERRNO | errno.EPERM))
    yield (RETURN, 0, 0, ALLOW)


def _when(test: int, operand: int, verdict: int) -> list[Instruction]:
    return [(test, 0, 1, operand), (RETURN, 0, 0, verdict)]


def _unless(test: int, operand: int, verdict: int) -> list[Instruction]:
    return [(test, 1, 0, operand), (RETURN, 0, 0, verdict)]


def _argument(number: int, offset: int, checks: list[Instruction]) -> list[Instruction]:
    """Apply `checks` to an argument of call `number`; the accumulator holds the call's number before and after."""
    inside = [(LOAD, 0, 0, offset), *checks, (LOAD, 0, 0, NR)]
    return [(JUMP_EQUAL, 0, len(inside), number), *inside]

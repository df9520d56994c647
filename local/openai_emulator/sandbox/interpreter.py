"""What the interpreter of a session needs of this machine, and nothing else of the folders it lies in.

An interpreter may lie anywhere: in a home folder (pyenv, uv, `~/.local`), behind links (`~/bin/python3.11`), in /tmp.
So no prefix is shown as a whole: only the program itself, its standard library, its shared libraries one by one, and
the folders of installed packages. Links are resolved here; the session gets an environment of its own, `/venv`, that
names the program's real place.
"""

from __future__ import annotations

import functools
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

VENV = "/venv"  # inside
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE_NAMES = ("site-packages", "dist-packages")
MAX_LIBRARIES = 200  # beyond this number of files, the folder of a conda environment is taken whole

Mount = tuple[str, str]  # source on this machine with all links resolved, path inside


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """The interpreter that runs this process."""

    program: str  # its real file
    folders: tuple[str, ...]  # the standard library, at every path where the program looks for it
    libraries: tuple[str, ...]  # shared libraries, files
    sites: tuple[str, ...]  # folders of installed packages outside the standard library
    system_sites: bool  # packages of the standard library's own folder are in use, too

    def mounts(self, is_shown: Callable[[str], bool]) -> list[Mount]:
        """What to show read-only, parents first.

        Args:
            is_shown: Whether the session sees this path anyway.
        """
        own = [(os.path.realpath(path), path) for path in (self.program, *self.folders, *self.libraries)]
        wanted = [mount for mount in own if not is_shown(mount[1])]
        wanted += [(os.path.realpath(path), f"{VENV}/sites/{n}") for n, path in enumerate(self.sites)]
        chosen: list[Mount] = []
        for mount in sorted(set(wanted), key=lambda mount: mount[1]):
            if not is_below(mount[1], [inside for _, inside in chosen]):
                chosen.append(mount)
        return chosen

    def environment_files(self, sites: Sequence[str] | None = None) -> list[tuple[bytes, str]]:
        """The small files of `/venv`: content and path inside.

        Args:
            sites: Where the packages are; None: where `mounts` shows them.
        """
        if sites is None:
            sites = [f"{VENV}/sites/{n}" for n in range(len(self.sites))]
        config = f"home = {Path(self.program).parent}\n"
        config += f"include-system-site-packages = {str(self.system_sites).lower()}\n"
        config += f"version = {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}\n"
        return [
            (config.encode(), f"{VENV}/pyvenv.cfg"),
            ("".join(f"{site}\n" for site in sites).encode(), f"{VENV}/lib/{VERSION}/site-packages/sites.pth"),
        ]


@functools.cache
def this_interpreter() -> Interpreter:
    """Read from this process: where its program, its standard library and its packages really are."""
    program = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    stdlib = str(Path(os.__file__).parent)
    beside = Path(program).parents[1] / "lib" / VERSION  # where the program looks first
    folders = {stdlib, os.path.realpath(stdlib), *(path for path in sys.path if Path(path).name == "lib-dynload")}
    if (beside / "os.py").exists():
        folders.add(str(beside))
    sites = [path for path in sys.path if Path(path).name in SITE_NAMES and Path(path).is_dir()]
    outside = [path for path in sites if _is_own(path, [*folders, "/usr"])]
    libraries = [*_beside(program), *_loaded()]
    return Interpreter(
        program=program,
        folders=tuple(sorted(folders)),
        libraries=tuple(sorted({path for path in libraries if not is_below(path, folders)})),
        sites=tuple(outside),
        system_sites=len(outside) < len(sites),
    )


def _is_own(packages: str, system: Sequence[str]) -> bool:
    """Whether these packages are of the virtual environment or of this user, not of the interpreter or the system."""
    if packages == site.getusersitepackages():
        return True
    in_environment = sys.prefix != sys.base_prefix and is_below(packages, [sys.prefix])
    return in_environment or not is_below(packages, system)


def _beside(program: str) -> Iterator[str]:
    """The shared libraries in the interpreter's `lib` folders, which its extension modules load by a relative path."""
    prefix = Path(program).parents[1]
    for folder in {prefix / "lib", Path(sysconfig.get_config_var("LIBDIR") or "."), Path(sys.base_prefix, "lib")}:
        if not folder.is_absolute() or is_below(str(folder), ["/usr"]) or not os.access(folder, os.R_OK | os.X_OK):
            continue
        files = [file for file in folder.iterdir() if ".so" in file.name and file.is_file()]
        if len(files) <= MAX_LIBRARIES:
            yield from map(str, files)
        elif (prefix / "conda-meta").is_dir():  # then the whole prefix is the interpreter's own
            yield str(folder)


def _loaded() -> Iterator[str]:
    """The shared libraries that this process has loaded, such as a C library outside /usr."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:  # not on Linux
        return
    for line in lines:
        words = line.split(maxsplit=5)
        if len(words) == 6 and "x" in words[1] and ".so" in words[5] and os.access(words[5], os.R_OK):
            path = Path(words[5])
            if path.is_file() and not any(name in path.parts for name in SITE_NAMES):
                yield str(path)


def is_below(path: str, places: Iterable[str]) -> bool:
    """Whether the path is one of these places or below one."""
    return any(Path(path).is_relative_to(place) for place in places)

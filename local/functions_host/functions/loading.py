"""Imports function_app.py from a folder and finds its FunctionApp.

Follows Microsoft's loader: https://github.com/Azure/azure-functions-python-worker (loader.py, functions.py)
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions import FunctionRegister

from local.functions_host.errors import AppRefused, BindingError
from local.functions_host.functions.index import Function, index_function
from local.functions_host.settings import HostSettings

logger = logging.getLogger(__name__)


@contextmanager
def loaded_app(folder: Path, settings: HostSettings) -> Iterator[tuple[Function, ...]]:
    """The functions of an app, sorted by name. At the end, the app's modules are removed from `sys.modules`.

    A function whose binding names a setting that does not exist is left out.

    Raises:
        AppRefused: the import fails, there is not exactly one app, or a function is wrong.
    """
    script = Path(settings.values.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py"))
    with importable(folder, script.stem):
        module = import_script(folder, script)
        decorated = decorated_functions(module, script)
        if not decorated:
            raise AppRefused(f"{script} defines no function.")
        functions = [function for each in decorated if (function := indexed(each, settings)) is not None]
        yield tuple(sorted(functions, key=lambda function: function.name.upper()))  # "_" sorts after the letters


def indexed(decorated: Any, settings: HostSettings) -> Function | None:
    try:
        return index_function(decorated, settings)
    except BindingError as exc:
        log_disabled(decorated.get_function_name(), exc)
        return None


def log_disabled(name: str, cause: BindingError) -> None:
    """Say why a function is disabled, while all others run."""
    logger.error("The '%s' function is in error and disabled: %s", name, cause)


@contextmanager
def importable(folder: Path, module: str) -> Iterator[None]:
    """Add `folder` to the import path; at the end, remove it and the modules imported from it."""
    already = str(folder) in sys.path
    before = set(sys.modules)
    if not already:
        sys.path.insert(0, str(folder))
    sys.modules.pop(module, None)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.modules.pop(module, None)
        if not already:
            sys.path.remove(str(folder))
            for name in set(sys.modules) - before:
                if (file := getattr(sys.modules[name], "__file__", None)) and Path(file).is_relative_to(folder):
                    del sys.modules[name]


def import_script(folder: Path, script: Path) -> ModuleType:
    if not (folder / script).is_file():
        raise AppRefused(f"There is no {script} in {folder}.")
    try:
        return importlib.import_module(script.stem)
    except Exception as exc:
        raise AppRefused(f"{script} cannot be imported: {type(exc).__name__}: {exc}") from exc


def decorated_functions(module: ModuleType, script: Path) -> list[Any]:
    app = find_app(module, script)
    try:
        return list(app.get_functions())  # a second call would raise
    except ValueError as exc:
        raise AppRefused(f"{script}: {exc}") from exc


def find_app(module: ModuleType, script: Path) -> Any:
    """The only FunctionApp in a module.

    Raises:
        AppRefused: there is none, or more than one.
    """
    apps = [value for value in vars(module).values() if isinstance(value, FunctionRegister)]
    if not apps:
        raise AppRefused(f"Could not find top level function app instances in {script}.")
    if len(apps) > 1:
        raise AppRefused(
            f"More than one {type(apps[0]).__name__} or other top level function app instances are defined."
        )
    return apps[0]

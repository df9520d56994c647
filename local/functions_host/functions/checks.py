"""Checks the bindings of a function as the real host and its extensions do: what fails here disables that function."""

from __future__ import annotations

import re

from local.functions_host.errors import BindingError
from local.functions_host.functions.index import Binding, Function
from local.functions_host.storage import Storage
from local.functions_host.triggers.schedules import parse_schedule

QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")
STORAGE_BINDINGS = {"queueTrigger", "blobTrigger", "queue", "blob"}


def check_function(function: Function, storage: Storage) -> None:
    """Check every binding of a function.

    Raises:
        BindingError: a schedule, the name of a queue or the setting of a connection is not valid.
    """
    returned = (function.returns,) if function.returns else ()
    for binding in (function.trigger, *function.inputs, *function.outputs, *returned):
        check_binding(binding, storage)


def check_binding(binding: Binding, storage: Storage) -> None:
    if binding.type in STORAGE_BINDINGS:
        storage.connection_string(binding.connection)
    if binding.type in {"queueTrigger", "queue"}:
        name = str(binding.options["queueName"]).lower()
        if "{" not in name and not QUEUE_NAME.fullmatch(name):
            raise BindingError(f"{name!r} is not a valid queue name: 3 to 63 letters, digits and single dashes.")
    if binding.type == "timerTrigger":
        try:
            parse_schedule(str(binding.options["schedule"]))
        except ValueError as exc:
            raise BindingError(f"The schedule is not valid: {exc}.") from exc

"""Checks a decorated function as the real worker does, and describes it as a `Function`.

The rules are those of Microsoft's worker, where one wrong function rejects the whole app:
https://github.com/Azure/azure-functions-python-worker (functions.py, bindings/meta.py)
"""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

from local.functions_host.errors import AppRefused
from local.functions_host.settings import HostSettings

TRIGGERS = {"httpTrigger", "queueTrigger", "blobTrigger", "timerTrigger", "eventGridTrigger"}
INPUTS = {"blob"}
OUTPUTS = {"http", "queue", "blob"}
EXTENSION = "azurefunctions.extensions.base"  # in sys.modules if the app imports an SDK type


class RawConverter:
    """The converter for parameters of type `str` or `bytes`, except for HTTP: it does not change the value."""

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        return issubclass(pytype, (str, bytes))

    @classmethod
    def check_output_type_annotation(cls, pytype: type) -> bool:
        return issubclass(pytype, (str, bytes, bytearray))

    @classmethod
    def decode(cls, data: Datum, *, trigger_metadata: Mapping[str, Datum]) -> Any:
        return data.value

    @classmethod
    def encode(cls, value: Any, *, expected_type: Any) -> Datum:
        if isinstance(value, str):
            return Datum(value, "string")
        if isinstance(value, (bytes, bytearray)):
            return Datum(bytes(value), "bytes")
        if isinstance(value, (dict, list)):
            return Datum(json.dumps(value), "json")
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A binding of a function. `options` is its JSON from the worker, with each `%NAME%` replaced by the setting."""

    name: str
    type: str
    options: Mapping[str, Any]
    converter: Any = None  # of the azure-functions library, with decode() and encode()
    pytype: Any = None
    deferred: bool = False  # an SDK type, which gets a reference instead of the content

    @property
    def connection(self) -> str | None:
        """Name of the setting that holds the connection string."""
        return self.options.get("connection")


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function of the app."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    folder: Path
    wants_context: bool
    trigger: Binding
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    returns: Binding | None

    @property
    def id(self) -> str:
        """The id that the real host uses in receipts, queue messages and webhooks."""
        return f"Host.Functions.{self.name}"


def index_function(decorated: Any, settings: HostSettings) -> Function:
    """Describe a function of the azure-functions library.

    Raises:
        AppRefused: its bindings do not match its signature.
        SettingMissing: a binding names a setting that does not exist.
    """
    name, call = decorated.get_function_name(), decorated.get_user_function()
    try:
        annotations = typing.get_type_hints(call)
    except Exception as exc:
        raise refused(name, f"its annotations cannot be resolved: {exc}") from exc
    parameters = dict(inspect.signature(call).parameters)
    bindings = [
        describe(name, raw, annotations, settings) for raw in raw_bindings(decorated, set(parameters), annotations)
    ]
    bound = {binding.name: binding for binding in bindings if binding.name != "$return"}
    wants_context = takes_context(name, parameters, bound, annotations)
    check_names(name, set(parameters) - ({"context"} if wants_context else set()), set(bound))
    outgoing = {binding.name for binding in bindings if is_out(binding)}
    triggers = [binding for binding in bindings if binding.type in TRIGGERS]
    if len(triggers) != 1:
        raise refused(name, f"it has {len(triggers)} triggers, it needs exactly one")
    return Function(
        name=name,
        call=call,
        is_async=inspect.iscoroutinefunction(call),
        folder=Path(inspect.getfile(call)).parent,
        wants_context=wants_context,
        trigger=triggers[0],
        inputs=tuple(b for b in bound.values() if b.name not in outgoing and b is not triggers[0]),
        outputs=tuple(b for b in bound.values() if b.name in outgoing),
        returns=next((binding for binding in bindings if binding.name == "$return"), None),
    )


def raw_bindings(decorated: Any, parameters: set[str], annotations: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bindings' JSON, as the worker sends it to the host. With an SDK type, the extension creates it."""
    extension = sys.modules.get(EXTENSION)
    if extension and any(is_sdk_type(annotations.get(name)) for name in parameters):
        types = {name: SimpleNamespace(pytype=annotations.get(name)) for name in parameters}
        texts, _ = extension.get_binding_registry().get_raw_bindings(decorated, types)
    else:
        texts = decorated.get_raw_bindings()
    return [json.loads(text) for text in texts]


def describe(function: str, raw: dict[str, Any], annotations: Mapping[str, Any], settings: HostSettings) -> Binding:
    """Check a binding against its annotation, and choose its converter."""
    name, binding_type, out = raw["name"], raw["type"], raw["direction"] == "OUT"
    if binding_type not in (OUTPUTS if out else TRIGGERS | INPUTS):
        known = ", ".join(sorted(OUTPUTS if out else TRIGGERS | INPUTS))
        raise refused(
            function, f"this host has no {'output' if out else 'input'} binding {binding_type!r} (it has {known})"
        )
    if name == "$return" and not out:
        raise refused(function, '"$return" binding must have direction set to "out"')
    options = {key: settings.resolve(value) if isinstance(value, str) else value for key, value in raw.items()}
    plain = Binding(name=name, type=binding_type, options=options)
    if name == "$return":
        return return_binding(function, plain, annotations)
    if name not in annotations:
        return with_converter(plain, None, deferred=False)
    return parameter_binding(function, plain, annotations[name], out=out)


def parameter_binding(function: str, plain: Binding, annotation: Any, *, out: bool) -> Binding:
    name, binding_type = plain.name, plain.type
    is_annotated_out = typing.get_origin(annotation) is func.Out or annotation is func.Out
    if out and not is_annotated_out:
        raise refused(
            function,
            f'binding {name} is declared to have the "out" direction, but its annotation in Python '
            "is not a subclass of azure.functions.Out",
        )
    if not out and is_annotated_out:
        raise refused(
            function,
            f'binding {name} is declared to have the "in" direction in the binding decorator, but '
            "its annotation is azure.functions.Out in Python",
        )
    if out and len(typing.get_args(annotation)) != 1:
        raise refused(function, f"binding {name} has invalid Out annotation {annotation!r}")
    pytype = typing.get_args(annotation)[0] if out else annotation
    if not isinstance(pytype, type) and typing.get_origin(pytype) is None:
        raise refused(function, f"binding {name} has invalid non-type annotation {annotation!r}")
    binding = with_converter(plain, pytype, deferred=not out and is_sdk_type(pytype))
    check = "check_output_type_annotation" if out else "check_input_type_annotation"
    if not accepts(binding, check, pytype):
        raise refused(
            function,
            f'type of {name} binding in the binding decorator "{binding_type}" does not match its '
            f'Python annotation "{getattr(pytype, "__name__", pytype)}"',
        )
    return binding


def return_binding(function: str, plain: Binding, annotations: Mapping[str, Any]) -> Binding:
    binding = with_converter(plain, None, deferred=False)
    if "return" in annotations:
        pytype = annotations["return"]
        if not isinstance(pytype, type):
            raise refused(function, f"has invalid non-type return annotation {pytype!r}")
        if not accepts(binding, "check_output_type_annotation", pytype):
            raise refused(
                function, f'Python return annotation "{pytype.__name__}" does not match binding type "{plain.type}"'
            )
    return binding


def with_converter(binding: Binding, pytype: Any, *, deferred: bool) -> Binding:
    converter: Any = RawConverter
    if deferred:
        converter = sys.modules[EXTENSION].get_binding_registry().get(binding.type)
    elif pytype not in (str, bytes):
        converter = func.get_binding_registry().get(binding.type) or RawConverter  # type: ignore[no-untyped-call]
    return Binding(
        name=binding.name,
        type=binding.type,
        options=binding.options,
        converter=converter,
        pytype=pytype,
        deferred=deferred,
    )


def accepts(binding: Binding, check: str, pytype: Any) -> bool:
    """Whether the library's converter accepts the type. For some generic types the converter raises: not accepted."""
    try:
        return bool(getattr(binding.converter, check)(pytype))
    except (TypeError, AttributeError):
        return False


def is_sdk_type(annotation: Any) -> bool:
    extension = sys.modules.get(EXTENSION)
    return extension is not None and bool(extension.get_binding_registry().check_supported_type(annotation))


def is_out(binding: Binding) -> bool:
    return bool(binding.options["direction"] == "OUT")


def takes_context(
    function: str, parameters: Mapping[str, Any], bound: Mapping[str, Binding], annotations: Mapping[str, Any]
) -> bool:
    if "context" not in parameters or "context" in bound:
        return False
    annotation = annotations.get("context", func.Context)
    if getattr(annotation, "__name__", None) != "Context":
        raise refused(
            function, f'the "context" parameter is expected to be of type azure.functions.Context, got {annotation!r}'
        )
    return True


def check_names(function: str, declared: set[str], bound: set[str]) -> None:
    if declared - bound:
        raise refused(
            function,
            "the following parameters are declared in Python but not in the function definition "
            f"(function.json or function decorators): {declared - bound!r}",
        )
    if bound - declared:
        raise refused(
            function,
            f"the following parameters are declared as bindings but are not present in Python: {bound - declared!r}",
        )


def refused(function: str, reason: str) -> AppRefused:
    return AppRefused(f"cannot load the {function} function: {reason}")

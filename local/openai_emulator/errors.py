"""The only error the API returns, in the format of the service.

ApiError                  any status, `{"error": {"message", "type", "param", "code"}}`
    invalid(...)          400 invalid_request_error
    not_found(...)        404
    not_implemented(...)  501, names the feature that is missing
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError


class ApiError(Exception):
    """Raised while a request is handled; `server.py` turns it into the HTTP response."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def invalid(message: str, *, param: str | None = None, code: str | None = "invalid_value") -> ApiError:
    return ApiError(400, message, param=param, code=code)


def not_found(what: str, id: str) -> ApiError:
    return ApiError(404, f"No such {what}: '{id}'.", param="id", code="not_found")


def not_implemented(what: str, *, param: str | None = None) -> ApiError:
    return ApiError(
        501,
        f"This emulator does not implement {what}. See local/openai_emulator/COVERAGE.md for what it implements.",
        type="not_implemented_error",
        param=param,
        code="not_implemented",
    )


def from_validation(error: ValidationError, *, within: str = "") -> ApiError:
    """The first error that pydantic found, worded as by the service."""
    fault = error.errors(include_url=False, include_context=False)[0]
    param = within + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"])
    param = param.lstrip(".")
    if fault["type"] == "missing":
        return invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if fault["type"] == "extra_forbidden":
        return invalid(f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")
    limits = error.errors(include_url=False)[0].get("ctx", {})
    if fault["type"] in _EXPECTED:
        expected = f"expected {_EXPECTED[fault['type']]}, but got {_kind_of(fault['input'])} instead"
        return invalid(f"Invalid type for '{param}': {expected}.", param=param, code="invalid_type")
    if (bound := _bound(fault["type"], limits, fault["input"])) is not None:
        code, what, expected, got = bound
        message = f"Invalid '{param}': {what}. Expected {expected}, but got {got} instead."
        return invalid(message, param=param, code=code)
    return invalid(f"Invalid value for '{param}': {fault['msg']}.", param=param)


def _bound(kind: str, limits: Mapping[str, Any], given: Any) -> tuple[str, str, str, str] | None:
    """For a value beyond a bound: the code, what is wrong, what is expected and what was sent."""
    number = "integer" if isinstance(limits.get("ge", limits.get("le")), int) else "decimal"
    if kind == "greater_than_equal":
        return f"{number}_below_min_value", f"{number} below minimum value", f"a value >= {limits['ge']}", str(given)
    if kind == "less_than_equal":
        return f"{number}_above_max_value", f"{number} above maximum value", f"a value <= {limits['le']}", str(given)
    if kind not in ("string_too_long", "too_long"):
        return None
    most, size = limits["max_length"], len(given)
    if isinstance(given, dict):
        expected = f"an object with at most {most} properties"
        return "object_above_max_properties", "too many properties", expected, f"an object with {size} properties"
    noun = "string" if isinstance(given, str) else "array"
    article = "a" if noun == "string" else "an"
    expected = f"{article} {noun} with maximum length {most}"
    return f"{noun}_above_max_length", f"{noun} too long", expected, f"{article} {noun} with length {size}"


_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array",
    "tuple_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
}


def _kind_of(given: Any) -> str:
    kinds = {bool: "a boolean", int: "an integer", float: "a decimal number", str: "a string", list: "an array"}
    return "null" if given is None else kinds.get(type(given), "an object")

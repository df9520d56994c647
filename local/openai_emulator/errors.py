"""The only error the API returns, in the format of the service.

ApiError                  any status, `{"error": {"message", "type", "param", "code"}}`
    invalid(...)          400 invalid_request_error
    not_found(...)        404
    not_implemented(...)  501, names the feature that is missing
"""

from __future__ import annotations

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
    return invalid(f"Invalid value for '{param}': {fault['msg']}.", param=param)

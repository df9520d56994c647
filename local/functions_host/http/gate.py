"""What this host refuses although Microsoft's answers it: requests of web pages, and of anyone to the admin endpoint.

Nobody needs a key on this machine, so the host itself must tell the user's programs from web pages.
"""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus

from local.callers import Callers, Refusal, is_preflight, refusal_of_type
from local.functions_host.http.asgi import Request, Response
from local.functions_host.http.keys import equal_keys, key_of

ADMIN_KEY = "FUNCTIONS_MASTER_KEY"
NO_ADMIN_KEY = Refusal(
    status=401,
    code="admin_key_required",
    detail=f"The admin endpoint wants the value of {ADMIN_KEY} in x-functions-key. `make up` makes a new one for each "
    "start and writes it to .local/stack.json as admin_key.",
)


class Gate:
    """Checks each request before anything else sees it.

    Args:
        callers: The hosts and origins that may call.
        admin_key: Opens the admin endpoint when no other keys are required; empty if nothing opens it.
        open_functions: No key is required, so the type of a body is what a web page cannot choose.
    """

    def __init__(self, callers: Callers, *, admin_key: str, open_functions: bool) -> None:
        self._callers = callers
        self._admin_key = admin_key
        self._open_functions = open_functions

    def answer(self, request: Request) -> Response | None:
        """The answer to a request that reaches no function: a refusal, or that to a preflight."""
        if refusal := self._callers.refusal_of_sender(request.headers, server=request.server):
            return refused(refusal)
        if is_preflight(request.method, request.headers) and self._callers.is_listed(request.headers):
            return Response(status=204)
        refusal = refusal_of_type(request.method, request.headers) if self._open_functions else None
        return refused(refusal) if refusal else None

    def answer_to_admin(self, request: Request) -> Response | None:
        """The refusal of a request to the admin endpoint that has not its key."""
        return None if equal_keys(key_of(request), self._admin_key) else refused(NO_ADMIN_KEY)

    def with_cors(self, request: Request, response: Response) -> Response:
        """The response with the headers that let a page of a listed origin read it; a function's own stay."""
        own = list(response.headers)
        if any(name.lower() == "access-control-allow-origin" for name, _ in own):
            return response
        return replace(response, headers=[*own, *self._callers.cors_headers(request.method, request.headers)])


def refused(refusal: Refusal) -> Response:
    """A refusal as problem+json. Source: https://www.rfc-editor.org/rfc/rfc9457"""
    title = HTTPStatus(refusal.status).phrase
    problem = {"type": "about:blank", "title": title, "status": refusal.status}
    body = json.dumps({**problem, "code": refusal.code, "detail": refusal.detail}).encode()
    return Response(status=refusal.status, body=body, headers=[("Content-Type", "application/problem+json")])

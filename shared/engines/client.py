"""Opens the `openai` client, and translates its errors to those of the app."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import openai
from azure.core.exceptions import ClientAuthenticationError
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from shared.errors import ServiceBusy, ServiceDenied, ServiceError, ServiceMissing, ServiceNotUnderstood
from shared.settings import Settings

if TYPE_CHECKING:
    import httpx2

Client = AsyncOpenAI  # for the annotations of rooms that do not import openai
TIMEOUT_S = 60.0
DOWNLOAD_MAX_BYTES = 64 * 1024 * 1024
ROLE = "Cognitive Services OpenAI Contributor"
# Azure's answer, with whatever status, to an operation that exists for keys only: no role makes it work.
# Source: https://github.com/Azure/azure-sdk-for-net/issues/54068
CHECK_ACCESS = "not supported for CheckAccess"
ASSIGN_ROLE = (
    f"Assign the role '{ROLE}' on the Azure OpenAI account to the app's identity (`azd provision` does), and check "
    "OPENAI_SCOPE. A new assignment takes some minutes to arrive."
)


def open_client(settings: Settings) -> AsyncOpenAI:
    """Open the client that the app uses for its whole life. It does not retry: the queues do, and survive a crash.

    Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
    """
    http = DefaultAsyncHttpxClient(event_hooks={"response": [_refuse_strangers]})
    url, key = settings.openai_base_url, settings.openai_api_key
    if key:
        return AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=TIMEOUT_S, http_client=http)
    from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider

    credential = DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)
    # A function, not a token: the client calls it for every request, and it renews an expired token.
    provider = get_bearer_token_provider(credential, settings.openai_scope)
    return AsyncOpenAI(base_url=url, api_key=provider, max_retries=0, timeout=TIMEOUT_S, http_client=http)


class _Stranger(Exception):
    """The response is no answer of a model service."""


async def _refuse_strangers(response: httpx2.Response) -> None:
    """Refuse a page of a gateway, or of another program at the address: a 200 is no success, and a 404 no proof.

    The API sends JSON, but for the content of files. What is tried again anyway is left to the SDK.
    """
    media_type, path = response.headers.get("content-type", ""), response.request.url.path
    is_api = "json" in media_type or "event-stream" in media_type or response.headers.get("content-length") == "0"
    is_final = response.status_code < 500 and response.status_code not in (401, 403, 408, 409, 429)
    if is_final and not is_api and not (response.is_success and path.endswith("/content")):
        raise _Stranger


async def ping(client: AsyncOpenAI) -> None:
    """Make one small request to the service. It fails on a wrong URL, key or role."""
    with translated("listing the models"):
        await client.models.list(timeout=10.0)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Translate the SDK's errors to ServiceMissing, ServiceError, ServiceBusy and what stands below it.

    Args:
        what: The operation, such as "uploading a.pdf". The message begins with it.
    """
    try:
        yield
    except openai.APIStatusError as exc:
        if isinstance(exc, openai.NotFoundError) and CHECK_ACCESS not in str(exc.body):
            raise ServiceMissing(f"{what}: {_message(exc)}") from exc
        if CHECK_ACCESS in str(exc.body):
            raise ServiceError(f"{what}: {_message(exc)}", code="tokens_not_supported") from exc
        if exc.status_code in (408, 409, 429) or exc.status_code >= 500:
            unclear = exc.status_code == 408 or exc.status_code >= 500
            raise ServiceBusy(
                f"{what}: {_message(exc)}", code=exc.code, retry_after_s=_retry_after_s(exc), unclear=unclear
            ) from exc
        if _is_denied(exc):
            raise ServiceDenied(f"{what}: the app was refused. {ASSIGN_ROLE} {_message(exc)}") from exc
        code = exc.code or f"service_{exc.status_code}"
        raise ServiceError(f"{what}: {_message(exc)}", code=code, param=exc.param) from exc
    except openai.APIConnectionError as exc:  # a timeout too
        raise ServiceBusy(f"{what}: the model service cannot be reached.", unclear=True) from exc
    except _Stranger as exc:
        raise ServiceNotUnderstood(
            f"{what}: the response is not from the API of a model service. Check OPENAI_BASE_URL."
        ) from exc
    except ClientAuthenticationError as exc:
        raise ServiceDenied(f"{what}: could not get a token for the model service: {exc.message}") from exc
    except openai.OpenAIError as exc:
        raise ServiceError(f"{what}: {exc}") from exc


async def read_bounded(chunks: AsyncIterator[bytes], filename: str) -> bytes:
    """Read a download into memory. Raises ServiceError as soon as it is over `DOWNLOAD_MAX_BYTES`."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > DOWNLOAD_MAX_BYTES:
            raise ServiceError(f"{filename} has more than {DOWNLOAD_MAX_BYTES:,} bytes.", code="file_too_large")
    return bytes(content)


def _message(exc: openai.APIStatusError) -> str:
    """The message of the service, and the request id for its support."""
    body = exc.body if isinstance(exc.body, dict) else {}
    message = str(body.get("message") or f"the model service answered {exc.status_code}.")
    request_id = exc.response.headers.get("apim-request-id") or exc.request_id
    return f"{message} (request {request_id})" if request_id else message


def _is_denied(exc: openai.APIStatusError) -> bool:
    """Whether the identity lacks a role, or has it only since a moment ago. A wrong key (401) stays wrong.

    Source: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected
    """
    if exc.status_code == 401:
        scheme, _, credential = exc.request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and credential.count(".") == 2  # a token of Entra ID, no key, is a JWT
    return exc.status_code == 403


def _retry_after_s(exc: openai.APIStatusError) -> float | None:
    """Seconds from the response headers; None when they are missing, negative or not a number, such as a date."""
    headers = exc.response.headers
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / per_second
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None

"""The `openai` client of this app, and its errors in ours."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import openai
from azure.core.exceptions import ClientAuthenticationError
from openai import AsyncOpenAI

from shared.errors import ServiceBusy, ServiceError, ServiceMissing
from shared.settings import Settings

Client = AsyncOpenAI  # for the annotations of rooms that do not import openai
TIMEOUT_S = 60.0
DOWNLOAD_MAX_BYTES = 64 * 1024 * 1024


def open_client(settings: Settings) -> AsyncOpenAI:
    """One client for life. Nothing is retried inside: the queues retry, where a crash loses nothing.

    Source: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
    """
    if settings.openai_api_key:
        return AsyncOpenAI(
            base_url=settings.openai_base_url, api_key=settings.openai_api_key, max_retries=0, timeout=TIMEOUT_S
        )
    from azure.identity.aio import DefaultAzureCredential, get_bearer_token_provider

    credential = DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)
    # The function, not a token: it is called for every request and renews what has expired.
    provider = get_bearer_token_provider(credential, settings.openai_scope)
    return AsyncOpenAI(base_url=settings.openai_base_url, api_key=provider, max_retries=0, timeout=TIMEOUT_S)


async def ping(client: AsyncOpenAI) -> None:
    """Ask the service for something small, so that a wrong address, key or role shows."""
    with translated("asking the model service for its models"):
        await client.models.list(timeout=10.0)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the SDK's errors into ours. `what` says what was being done, as in "uploading a.pdf"."""
    try:
        yield
    except openai.NotFoundError as exc:
        raise ServiceMissing(f"{what}: {_words(exc)}") from exc
    except openai.APIStatusError as exc:
        if exc.status_code in (408, 409, 429) or exc.status_code >= 500:
            unclear = exc.status_code == 408 or exc.status_code >= 500
            raise ServiceBusy(
                f"{what}: {_words(exc)}", code=exc.code, retry_after_s=_retry_after_s(exc), unclear=unclear
            ) from exc
        raise ServiceError(f"{what}: {_words(exc)}", code=exc.code or f"service_{exc.status_code}") from exc
    except openai.APIConnectionError as exc:  # a timeout is one, too
        raise ServiceBusy(f"{what}: the model service is out of reach.", unclear=True) from exc
    except ClientAuthenticationError as exc:  # a role may take minutes to arrive
        raise ServiceBusy(f"{what}: no token for the model service could be had: {exc.message}") from exc
    except AttributeError as exc:  # the SDK hands on a page of HTML as a string
        raise ServiceError(
            f"{what}: what answered is not the model service's API. Check OPENAI_BASE_URL.",
            code="service_not_understood",
        ) from exc
    except openai.OpenAIError as exc:
        raise ServiceError(f"{what}: {exc}") from exc


async def read_bounded(chunks: AsyncIterator[bytes], filename: str) -> bytes:
    """A file that code made, whole; one that is too large is refused before all of it is read."""
    content = bytearray()
    async for chunk in chunks:
        content += chunk
        if len(content) > DOWNLOAD_MAX_BYTES:
            raise ServiceError(f"{filename} has more than {DOWNLOAD_MAX_BYTES:,} bytes.", code="file_too_large")
    return bytes(content)


def _words(exc: openai.APIStatusError) -> str:
    """The service's own sentence, and the id by which its operators find the request."""
    body = exc.body if isinstance(exc.body, dict) else {}
    words = str(body.get("message") or f"the model service answered {exc.status_code}.")
    request_id = exc.response.headers.get("apim-request-id") or exc.request_id
    return f"{words} (request {request_id})" if request_id else words


def _retry_after_s(exc: openai.APIStatusError) -> float | None:
    headers = exc.response.headers
    for name, per_second in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers[name]) / per_second
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None

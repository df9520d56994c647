"""All settings of the app. They are read together, once; the README has a table of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from shared.errors import SettingError

STORAGE_CONNECTION = "AzureWebJobsStorage"
ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?=/|$)")
LONGEST_S = 366 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class StorageAccount:
    """Access to blobs and queues: a connection string (laptop), or two endpoints with managed identity."""

    connection_string: str | None = None
    blob_url: str | None = None
    queue_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    storage: StorageAccount
    identity_client_id: str | None  # of a user-assigned identity; None: system-assigned, or the developer's sign-in
    openai_base_url: str
    openai_api_key: str | None  # None: managed identity
    openai_scope: str
    model: str
    engine: Literal["responses", "assistants"]
    instructions: str | None
    run_default_s: int
    run_max_s: int
    action_max_s: int
    callback_hosts: tuple[str, ...]
    callback_secret: str | None
    callback_allow_private: bool
    webhook_secret: str | None
    topic_endpoint: str | None
    topic_key: str | None
    indexing_max_s: int
    indexing_tries: int
    indexing_concurrency: int
    uploads_per_s: int
    store_max_files: int
    store_expires_days: int | None
    file_max_tokens: int
    question_max_chars: int
    body_max_bytes: int
    document_max_bytes: int
    temp_max_bytes: int
    upload_max_bytes: int
    tool_output_max_bytes: int
    wait_max_s: int  # the longest `?wait=`
    price_input_usd: float  # per million tokens, like the next two
    price_cached_usd: float
    price_output_usd: float
    price_search_usd: float  # per call of file search
    price_session_usd: float  # per code interpreter session
    price_storage_usd: float  # per GiB of vector storage per day
    price_label: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read every setting.

        Raises:
            SettingError: a setting is missing or invalid; the message names it.
        """
        return cls(
            storage=_storage(environ),
            identity_client_id=environ.get(f"{STORAGE_CONNECTION}__clientId") or environ.get("AZURE_CLIENT_ID"),
            openai_base_url=_required(environ, "OPENAI_BASE_URL", "https://<resource>.openai.azure.com/openai/v1/"),
            openai_api_key=environ.get("OPENAI_API_KEY") or None,
            openai_scope=environ.get("OPENAI_SCOPE") or "https://ai.azure.com/.default",
            model=_required(environ, "OPENAI_MODEL", "the name of the model deployment, such as gpt-5.4-mini"),
            engine=_engine(environ),
            instructions=environ.get("INSTRUCTIONS") or None,
            run_default_s=_whole(environ, "RUN_DEFAULT_S", 900, most=LONGEST_S),
            run_max_s=_whole(environ, "RUN_MAX_S", 3600, most=LONGEST_S),
            action_max_s=_whole(environ, "ACTION_MAX_S", 7 * 24 * 3600, most=LONGEST_S),
            callback_hosts=_list(environ, "CALLBACK_HOSTS"),
            callback_secret=environ.get("CALLBACK_SECRET") or None,
            callback_allow_private=(environ.get("CALLBACK_ALLOW_PRIVATE") or "").lower() == "true",
            webhook_secret=environ.get("OPENAI_WEBHOOK_SECRET") or None,
            topic_endpoint=_https(environ, "EVENT_GRID_TOPIC_ENDPOINT"),
            topic_key=environ.get("EVENT_GRID_TOPIC_KEY") or None,
            indexing_max_s=_whole(environ, "INDEXING_MAX_S", 1800, most=LONGEST_S),
            indexing_tries=_whole(environ, "INDEXING_TRIES", 3, most=100),
            indexing_concurrency=_whole(environ, "INDEXING_CONCURRENCY", 8, most=1000),
            uploads_per_s=_whole(environ, "UPLOADS_PER_S", 30, most=100_000),
            store_max_files=_whole(environ, "STORE_MAX_FILES", 9_500),
            store_expires_days=_optional_whole(environ, "STORE_EXPIRES_DAYS", most=365),
            file_max_tokens=_whole(environ, "FILE_MAX_TOKENS", 2_000_000),
            question_max_chars=_whole(environ, "QUESTION_MAX_CHARS", 8_000),
            body_max_bytes=_whole(environ, "BODY_MAX_BYTES", 65_536),
            document_max_bytes=_whole(environ, "DOCUMENT_MAX_BYTES", 512 * 1024 * 1024),
            temp_max_bytes=_whole(environ, "TEMP_MAX_BYTES", 2 * 1024 * 1024 * 1024),
            upload_max_bytes=_whole(environ, "UPLOAD_MAX_BYTES", 8 * 1024 * 1024),
            tool_output_max_bytes=_whole(environ, "TOOL_OUTPUT_MAX_BYTES", 256 * 1024),
            wait_max_s=_whole(environ, "WAIT_MAX_S", 30, most=120),
            price_input_usd=_price(environ, "PRICE_INPUT_USD", 0.75),
            price_cached_usd=_price(environ, "PRICE_CACHED_USD", 0.075),
            price_output_usd=_price(environ, "PRICE_OUTPUT_USD", 4.50),
            price_search_usd=_price(environ, "PRICE_SEARCH_USD", 0.0025),
            price_session_usd=_price(environ, "PRICE_SESSION_USD", 0.03),
            price_storage_usd=_price(environ, "PRICE_STORAGE_USD", 0.10),
            price_label=environ.get("PRICE_LABEL") or "list prices of gpt-5.4-mini",
        )


def _storage(environ: Mapping[str, str]) -> StorageAccount:
    """Read a connection `X` as the Functions host does: `X`, else both `X__...ServiceUri`, else `X__accountName`.

    Source: https://learn.microsoft.com/azure/azure-functions/functions-reference#configure-an-identity-based-connection
    """
    name = STORAGE_CONNECTION
    if environ.get(name):
        return StorageAccount(connection_string=environ[name])
    account = environ.get(f"{name}__accountName")
    blob_url = environ.get(f"{name}__blobServiceUri") or (account and f"https://{account}.blob.core.windows.net")
    queue_url = environ.get(f"{name}__queueServiceUri") or (account and f"https://{account}.queue.core.windows.net")
    if blob_url and queue_url:
        return StorageAccount(blob_url=blob_url, queue_url=queue_url)
    raise SettingError(
        f"The setting {name} is missing. Set it to a connection string, or set {name}__blobServiceUri and "
        f"{name}__queueServiceUri for managed identity."
    )


def blob_origin(environ: Mapping[str, str]) -> str | None:
    """Scheme, host and port of the blob endpoint; None if it is not known. It never raises.

    Source: https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
    """
    try:
        account = _storage(environ)
    except SettingError:
        return None
    url = account.blob_url
    if account.connection_string:
        pairs = (part.partition("=") for part in account.connection_string.split(";"))
        parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
        suffix = parts.get("endpointsuffix") or "core.windows.net"
        name = parts.get("accountname")
        url = parts.get("blobendpoint") or (f"https://{name}.blob.{suffix}" if name else None)
    found = ORIGIN.match(url or "")
    return found[0] if found else None


def _engine(environ: Mapping[str, str]) -> Literal["responses", "assistants"]:
    engine = environ.get("ENGINE") or "responses"
    if engine not in ("responses", "assistants"):
        message = f"The setting ENGINE is {engine!r}; it must be responses or assistants."
        raise SettingError(message, code="setting_invalid")
    return cast(Literal["responses", "assistants"], engine)


def _required(environ: Mapping[str, str], name: str, example: str) -> str:
    if value := environ.get(name):
        return value
    raise SettingError(f"The setting {name} is missing. It must be {example}.")


def _https(environ: Mapping[str, str], name: str) -> str | None:
    """An optional URL. It must use TLS, except on this machine."""
    url = environ.get(name) or None
    if url is None or url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        return url
    raise SettingError(f"The setting {name} must begin with https://.", code="setting_invalid")


def _whole(environ: Mapping[str, str], name: str, default: int, *, most: int = 2**40) -> int:
    text = environ.get(name) or str(default)
    if text.isascii() and text.isdigit() and len(text) < 20 and 0 < int(text) <= most:
        return int(text)
    raise SettingError(
        f"The setting {name} is {text[:40]!r}; it must be a whole number from 1 to {most:,}.", code="setting_invalid"
    )


def _optional_whole(environ: Mapping[str, str], name: str, *, most: int) -> int | None:
    return _whole(environ, name, 0, most=most) if environ.get(name) else None


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    """`a, b` -> `("a", "b")`"""
    return tuple(item.strip() for item in (environ.get(name) or "").split(",") if item.strip())


def _price(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise SettingError(
            f"The setting {name} is {text!r}; it must be an amount in US dollars.", code="setting_invalid"
        )
    return value

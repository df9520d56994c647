"""Settings from host.json, local.settings.json and the environment."""

from __future__ import annotations

import json
import os
import re
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.functions_host.errors import HostError, SettingMissing

STORAGE = "AzureWebJobsStorage"
DEFAULT_TIMEOUT_S = 30 * 60.0  # of a Flex Consumption or Dedicated plan
BLOB_POLLING_S = 2.0
TIME_SPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{2}):(?P<seconds>\d{2}(?:\.\d+)?)")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file; `{}` if the file does not exist.

    Raises:
        HostError: the file is not JSON or holds no object.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as exc:
        raise HostError(f"{path.name} is not valid JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise HostError(f"{path.name} must contain a JSON object.")
    return content


def time_span(text: str) -> timedelta:
    """Parse a .NET time span, `[d.]hh:mm:ss[.fff]`.

    Raises:
        ValueError: the text is not a time span.
    """
    match = TIME_SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time span such as 00:00:02")
    return timedelta(**{unit: float(number) for unit, number in match.groupdict(default="0").items()})


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """`extensions.queues` of host.json, with the real host's defaults.

    Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
    """

    batch_size: int = 16
    new_batch_threshold: int = 8  # without a setting: half a batch for each core
    max_dequeue_count: int = 5
    retry_delay_s: float = 0.0  # `visibilityTimeout`: delay before a failed message is received again
    max_polling_interval_s: float = 60.0
    base64: bool = True

    @classmethod
    def from_host_json(cls, content: Mapping[str, Any]) -> QueueOptions:
        """Read the content of `extensions.queues`.

        Raises:
            HostError: a value is not allowed.
        """
        batch_size = int(content.get("batchSize", cls.batch_size))
        if not 1 <= batch_size <= 32:
            raise HostError(f"host.json: extensions.queues.batchSize is {batch_size}, it must be 1 to 32.")
        return cls(
            batch_size=batch_size,
            new_batch_threshold=int(content.get("newBatchThreshold", batch_size // 2 * cores())),
            max_dequeue_count=int(content.get("maxDequeueCount", cls.max_dequeue_count)),
            retry_delay_s=seconds(content, "visibilityTimeout", default=cls.retry_delay_s),
            max_polling_interval_s=max(seconds(content, "maxPollingInterval", default=cls.max_polling_interval_s), 0.1),
            base64=str(content.get("messageEncoding", "base64")).lower() == "base64",
        )


def blob_options(content: Mapping[str, Any]) -> QueueOptions:
    """How the blob triggers' internal queue is read: `extensions.blobs` of host.json, not `extensions.queues`.

    A blob whose function fails is tried again at once.

    Raises:
        HostError: a value is not allowed.
    """
    at_once = int(content.get("maxDegreeOfParallelism", 8 * cores()))
    tries = int(content.get("poisonBlobThreshold", 5))
    if at_once < 1 or tries < 1:
        raise HostError("host.json: extensions.blobs: each number must be at least 1.")
    batch_size = min(-(-at_once // 2), 32)
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=at_once - batch_size,
        max_dequeue_count=tries,
        max_polling_interval_s=BLOB_POLLING_S,
    )


def cores() -> int:
    return os.cpu_count() or 1


def seconds(content: Mapping[str, Any], key: str, *, default: float) -> float:
    """A time span of host.json, in seconds."""
    if key not in content:
        return default
    try:
        return time_span(str(content[key])).total_seconds()
    except ValueError as exc:
        raise HostError(f"host.json: extensions.queues.{key}: {exc}.") from exc


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """All settings. `values` is the app's environment: local.settings.json, overridden by environment variables."""

    values: Mapping[str, str]
    host_id: str
    route_prefix: str = "api"
    queues: QueueOptions = field(default_factory=QueueOptions)
    blobs: QueueOptions = field(default_factory=lambda: blob_options({}))
    function_timeout_s: float | None = DEFAULT_TIMEOUT_S  # None is no limit

    @classmethod
    def read(cls, app_folder: Path, environ: Mapping[str, str], settings_file: Path | None = None) -> HostSettings:
        """Read host.json and local.settings.json of an app.

        Raises:
            HostError: one of the files is not valid.
        """
        local = read_json(settings_file or app_folder / "local.settings.json")
        values = {name: str(value) for name, value in local.get("Values", {}).items()} | dict(environ)
        host_json = read_json(app_folder / "host.json")
        extensions = host_json.get("extensions", {})
        return cls(
            values=values,
            host_id=values.get("AzureFunctionsWebHost__hostid") or host_id(app_folder),
            route_prefix=str(extensions.get("http", {}).get("routePrefix", "api")).strip("/"),
            queues=QueueOptions.from_host_json(extensions.get("queues", {})),
            blobs=blob_options(extensions.get("blobs", {})),
            function_timeout_s=function_timeout_s(host_json.get("functionTimeout")),
        )

    def resolve(self, text: str) -> str:
        """Replace each `%NAME%` by the setting `NAME`.

        Raises:
            SettingMissing: the setting does not exist.
        """

        def value(match: re.Match[str]) -> str:
            if match[1] not in self.values:
                raise SettingMissing(f"'%{match[1]}%' does not resolve to a value: set {match[1]}.")
            return self.values[match[1]]

        return re.sub(r"%([^%\s]+)%", value, text)

    def disabled(self, function: str) -> bool:
        """Whether `AzureWebJobs.<function>.Disabled` (or the same with underscores, for shells) is set."""
        names = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
        return any(self.values.get(name, "").lower() in {"true", "1"} for name in names)


def function_timeout_s(text: Any) -> float | None:
    """`functionTimeout` of host.json; None if it is -1, which is no limit."""
    if text is None:
        return DEFAULT_TIMEOUT_S
    if str(text).strip() in {"-1", "-00:00:01"}:
        return None
    try:
        return time_span(str(text)).total_seconds()
    except ValueError as exc:
        raise HostError(f"host.json: functionTimeout: {exc}.") from exc


def host_id(app_folder: Path) -> str:
    """A stable id of at most 32 characters for this app on this machine; it can be part of a queue name."""
    machine = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")[:20].strip("-")
    return f"{machine}-{zlib.crc32(str(app_folder.resolve()).encode()):08x}".lstrip("-")

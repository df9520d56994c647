"""Starts and stops Azurite, Microsoft's storage emulator."""

import base64
import os
import re
import secrets
from pathlib import Path
from typing import Self

from local.paths import INSTALLED
from local.private import private_file, private_folder
from local.stack.node import azurite_command
from local.stack.process import Process

# Azurite's usual account, but not with its published key: any web page could sign requests with that one, and Azurite
# checks neither Host nor Origin.
# Source: https://learn.microsoft.com/azure/storage/common/storage-use-azurite#custom-storage-accounts-and-keys
ACCOUNT = "devstoreaccount1"
KEY_BYTES = 64
SERVICES = ("Blob", "Queue", "Table")
START_WITHIN_S = 30.0


class Azurite:
    """One Azurite process, with an account key of its own.

    Args:
        log: Gets its output, with one line per request; the Functions host reads it to find new blobs.
        location: Folder for the data and the account key; None keeps the data in memory, with a new key.
        ports: Of blobs, queues and tables; 0 takes a free port.
    """

    def __init__(self, *, log: Path, location: Path | None = None, ports: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.access_log = log
        self.ports = ports
        self._location = location
        self.account_key = kept_key(location) if location else new_key()
        self.process = Process("azurite", [], log=log, environ={**_environ(), "AZURITE_ACCOUNTS": self.accounts})

    def start(self) -> None:
        """Start the process without waiting; a restart uses the same ports."""
        self.process.command = [*azurite_command(), *_arguments(self.ports, self._location)]
        self.process.start()

    def wait_ready(self, *, within_s: float = START_WITHIN_S) -> None:
        """Wait until all services listen; afterwards `ports` has the real port numbers."""
        self.process.wait_until(lambda: len(_listening(self.process.output())) == len(SERVICES), within_s=within_s)
        found = _listening(self.process.output())
        self.ports = (found["Blob"], found["Queue"], found["Table"])

    def stop(self) -> None:
        """Stop the process. With a location, it gets time to save its data."""
        self.process.stop(grace_s=5.0 if self._location else 0)

    @property
    def accounts(self) -> str:
        """The value for `AZURITE_ACCOUNTS`: name and key."""
        return f"{ACCOUNT}:{self.account_key}"

    @property
    def blob_endpoint(self) -> str:
        """`http://127.0.0.1:PORT/devstoreaccount1`"""
        return f"http://127.0.0.1:{self.ports[0]}/{ACCOUNT}"

    @property
    def queue_endpoint(self) -> str:
        """`http://127.0.0.1:PORT/devstoreaccount1`"""
        return f"http://127.0.0.1:{self.ports[1]}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """The value for the setting `AzureWebJobsStorage`."""
        endpoints = zip(SERVICES, self.ports, strict=True)
        addresses = "".join(f"{service}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for service, port in endpoints)
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={self.account_key};{addresses}"

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def new_key() -> str:
    """A random account key."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def kept_key(location: Path) -> str:
    """The key of the data in a folder; it is made with the folder, so that addresses signed with it stay valid."""
    path = private_folder(location) / "account.key"
    if not path.exists():
        private_file(path).write_text(new_key())
    return path.read_text()


def _arguments(ports: tuple[int, int, int], location: Path | None) -> list[str]:
    listen = [part for service, port in zip(SERVICES, ports, strict=True) for part in _service(service.lower(), port)]
    keep = ["--location", str(location)] if location else ["--inMemoryPersistence"]
    return ["--skipApiVersionCheck", "--disableTelemetry", *listen, *keep]  # the SDKs use newer API versions


def _service(name: str, port: int) -> list[str]:
    # Azurite closes idle connections after 5 s by default; the SDKs reuse them for longer and would fail.
    return [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port), f"--{name}KeepAliveTimeout", "120"]


def _listening(output: str) -> dict[str, int]:
    """Service -> port, from the lines "successfully listening at"."""
    lines = re.findall(r"Azurite (\w+) service is successfully listening at http://[^:]+:(\d+)", output)
    return {service: int(port) for service, port in lines}


def _environ() -> dict[str, str]:
    """Let Node 22 and newer cache compiled code: the start takes a third less time."""
    return {**os.environ, "NODE_COMPILE_CACHE": str(INSTALLED / "cache" / "node"), "NODE_NO_WARNINGS": "1"}

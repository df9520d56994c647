"""Azurite, Microsoft's storage emulator: the real one, started and ended by us."""

import os
import re
from pathlib import Path
from typing import Self

from local.paths import INSTALLED
from local.stack.node import azurite_command
from local.stack.process import Process

# Azurite's well-known account, the same on every machine.
# Source: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SERVICES = ("Blob", "Queue", "Table")
START_WITHIN_S = 30.0


class Azurite:
    """One Azurite on this machine.

    Args:
        log: Its output and access log, one line per request, appended to; the Functions host follows it.
        location: Folder that keeps the data; None keeps it in memory.
        ports: Of blobs, queues and tables; 0 takes a free one.
    """

    def __init__(self, *, log: Path, location: Path | None = None, ports: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.access_log = log
        self.ports = ports
        self._location = location
        self.process = Process("azurite", [], log=log, environ=_environ())

    def start(self) -> None:
        """Start it and return at once; a restart takes the ports it had."""
        self.process.command = [*azurite_command(), *_arguments(self.ports, self._location)]
        self.process.start()

    def wait_ready(self, *, within_s: float = START_WITHIN_S) -> None:
        """Wait until all services listen; afterwards `ports` are the real ones."""
        self.process.wait_until(lambda: len(_listening(self.process.output())) == len(SERVICES), within_s=within_s)
        found = _listening(self.process.output())
        self.ports = (found["Blob"], found["Queue"], found["Table"])

    def stop(self) -> None:
        """End it; data in a location are saved first."""
        self.process.stop(grace_s=5.0 if self._location else 0)

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
        """As the setting `AzureWebJobsStorage` takes it."""
        endpoints = zip(SERVICES, self.ports, strict=True)
        addresses = "".join(f"{service}Endpoint=http://127.0.0.1:{port}/{ACCOUNT};" for service, port in endpoints)
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{addresses}"

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


def _arguments(ports: tuple[int, int, int], location: Path | None) -> list[str]:
    listen = [part for service, port in zip(SERVICES, ports, strict=True) for part in _service(service.lower(), port)]
    keep = ["--location", str(location)] if location else ["--inMemoryPersistence"]
    return ["--skipApiVersionCheck", "--disableTelemetry", *listen, *keep]  # today's SDKs speak newer versions


def _service(name: str, port: int) -> list[str]:
    # The SDKs keep idle connections longer than Azurite's default of 5 s, and would find them closed.
    return [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port), f"--{name}KeepAliveTimeout", "120"]


def _listening(output: str) -> dict[str, int]:
    """Service -> port, of every "successfully listening at" line."""
    lines = re.findall(r"Azurite (\w+) service is successfully listening at http://[^:]+:(\d+)", output)
    return {service: int(port) for service, port in lines}


def _environ() -> dict[str, str]:
    """Node 22 and newer keep compiled code between starts, which saves a third of the start."""
    return {**os.environ, "NODE_COMPILE_CACHE": str(INSTALLED / "cache" / "node"), "NODE_NO_WARNINGS": "1"}

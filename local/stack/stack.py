"""The local stack: starts and stops Azurite, the OpenAI emulator and a Functions host together."""

import http.client
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from local.callers import cors_origins
from local.errors import LocalError
from local.paths import LOGS, ROOT
from local.private import private_folder
from local.settings import Service, app_settings, webhook_settings
from local.stack.azurite import Azurite
from local.stack.model import Model, given_in_shell
from local.stack.ports import Ports
from local.stack.process import Process
from local.stack.record import Running

HOST_ADMIN = "FUNCTIONS_MASTER_KEY"
READY_WITHIN_S = 60.0
POLL_EVERY_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a stack.

    Attributes:
        data: Folder for the emulator's data and, with `keep`, Azurite's.
        logs: Folder for the logs.
        keep: Keep the data of the last start; else it is deleted, and Azurite keeps its data in memory.
        usual_ports: Use the ports of `ports.USUAL_PORTS` if they are free; else any free ports.
        host: "local" or "func" (Azure Functions Core Tools).
        service: The model service; None is the emulator.
    """

    data: Path
    logs: Path = LOGS
    keep: bool = False
    usual_ports: bool = False
    host: str = "local"
    service: Service | None = None


class Stack:
    """Three processes, started and stopped together by `with Stack(options) as stack`, in the main thread.

    Attributes:
        ports: Name -> port, with the names of `ports.USUAL_PORTS`.
        moved: Names whose usual port was in use.
        ready_s: Seconds from the start until all processes were healthy.
        admin_key: Opens the admin paths of the host and of the emulator; new for each start.
    """

    def __init__(self, options: Options, *, environ: Mapping[str, str] = os.environ) -> None:
        self.options = options
        self.admin_key = secrets.token_urlsafe(32)
        self._origins = _origins(environ)
        self._ports = Ports.choose(usual=options.usual_ports)
        self.ports, self.moved = self._ports.numbers, self._ports.moved
        self.ready_s = 0.0
        self.started_at = datetime.now(UTC)
        self.azurite = Azurite(
            log=options.logs / "azurite.log",
            location=options.data / "azurite" if options.keep else None,
            ports=(self.ports["blobs"], self.ports["queues"], self.ports["tables"]),
        )
        self.service = options.service or Service.emulated(self.emulator_url)
        self.model = Model.of(self.service, environ)
        sender, receiver = webhook_settings(environ, app_url=self.app_url)
        sender = {**sender, "EMULATOR_ADMIN_KEY": self.admin_key}
        own = {HOST_ADMIN: self.admin_key, "AZURITE_ACCOUNTS": self.azurite.accounts}
        self.emulator = None if options.service else self._emulator({**environ, **sender})
        self.host = self._host({**environ, **own, **(receiver if self.emulator else {})})

    @property
    def app_url(self) -> str:
        """Address of the app, without a slash at the end."""
        return f"http://127.0.0.1:{self.ports['host']}"

    @property
    def emulator_url(self) -> str:
        """Address of the emulator, without a slash at the end."""
        return f"http://127.0.0.1:{self.ports['emulator']}"

    @property
    def processes(self) -> list[Process]:
        """All processes, in the order of their start."""
        return [process for process in (self.azurite.process, self.emulator, self.host) if process]

    def start(self) -> None:
        """Start all processes at the same time and wait until all are healthy.

        Raises:
            LocalError: Azurite could not be installed.
            ProcessDied: a process ended or was not ready in time; all processes were stopped.
        """
        begun_s = time.monotonic()
        if not self.options.keep:
            shutil.rmtree(self.options.data, ignore_errors=True)
        private_folder(self.options.data)
        private_folder(self.options.logs)
        for log in (process.log for process in self.processes):
            if log.exists():
                log.replace(log.with_suffix(".log.1"))  # keep one older log, else the log would grow forever
        try:
            self.azurite.start()
            for process in self.processes[1:]:
                process.start()
            from local.stack.provision import provision  # takes 250 ms, while the processes start

            self.azurite.wait_ready()
            provision(self.azurite.connection_string, origins=self._origins | self._own_origins)
            self._wait_until(self._healthy)
        except BaseException:
            self.stop()
            raise
        self.ready_s = time.monotonic() - begun_s

    @property
    def _own_origins(self) -> frozenset[str]:
        """Those of the app's page, which uploads large files to signed addresses."""
        return frozenset({self.app_url, self.app_url.replace("127.0.0.1", "localhost")})

    def stop(self) -> None:
        """Stop the host and the emulator at the same time, then Azurite: the host needs it until its end."""
        with ExitStack() as stops:
            stops.callback(self.azurite.stop)
            for process in self.processes[1:]:
                process.terminate()
                stops.callback(process.stop)

    def start_again(self, process: Process) -> None:
        """Restart a process and wait until all processes are healthy."""
        process.stop()
        process.start()
        self._wait_until(self._healthy)

    def ended_process(self) -> Process | None:
        """The first process that does not run; None if all run."""
        return next((process for process in self.processes if not process.alive), None)

    def running(self) -> Running:
        """The data about this stack for other commands."""
        urls = {"azurite": self.azurite.blob_endpoint, "functions host": self.app_url}
        if self.emulator:
            urls["emulator"] = self.emulator_url
        return Running(
            pid=os.getpid(),
            app_url=self.app_url,
            storage=self.azurite.connection_string,
            admin_key=self.admin_key,
            service=self.service,
            pids={process.name: process.pid for process in self.processes},
            urls=urls,
            started_at=self.started_at.isoformat(timespec="seconds"),
            model=self.model,
            given=given_in_shell(),
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _emulator(self, environ: Mapping[str, str]) -> Process:
        port, data = str(self.ports["emulator"]), str(self.options.data / "emulator")
        command = [sys.executable, "-m", "local.openai_emulator", "--port", port, "--data", data]
        return Process("emulator", command, log=self.options.logs / "emulator.log", environ=environ, cwd=ROOT)

    def _host(self, environ: Mapping[str, str]) -> Process:
        """Our host, which gets blob events from Azurite's access log; or Core Tools, which must scan for blobs."""
        storage = self.azurite.connection_string
        port = str(self.ports["host"])
        if self.options.host == "func":
            func = shutil.which("func", path=environ.get("PATH"))
            if not func:
                raise LocalError(
                    "HOST=func needs Azure Functions Core Tools, and there is no `func` on PATH.",
                    "Install them, or run `make up` without HOST=func.",
                )
            command, source = [func, "start", "--python", "--port", port], "LogsAndContainerScan"
        else:
            command = [sys.executable, "-m", "local.functions_host", "--app", str(ROOT), "--port", port]
            command += ["--access-log", str(self.azurite.access_log), "--event-queue", "documents=document-events"]
            source = "EventGrid"
        settings = app_settings(environ, storage=storage, service=self.service, blob_source=source)
        return Process("functions host", command, log=self.options.logs / "host.log", environ=settings, cwd=ROOT)

    def _healthy(self) -> bool:
        emulator_ok = self.emulator is None or answers_200(f"127.0.0.1:{self.ports['emulator']}", "/healthz")
        return emulator_ok and answers_200(f"127.0.0.1:{self.ports['host']}", "/api/health")

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for a condition, as `Process.wait_until`, but raise if any of the processes ends."""
        deadline_s = time.monotonic() + READY_WITHIN_S
        while not ready():
            if ended := self.ended_process():
                raise ended.died()
            if time.monotonic() > deadline_s:
                raise self.host.late(READY_WITHIN_S)
            time.sleep(POLL_EVERY_S)


def _origins(environ: Mapping[str, str]) -> frozenset[str]:
    """Raises: LocalError: `CORS_ORIGINS` has a value that is no origin."""
    try:
        return cors_origins(environ)
    except ValueError as exc:
        raise LocalError(str(exc), "A page of any site could act as you, so `*` is not accepted.") from exc


def answers_200(address: str, path: str) -> bool:
    """Whether `GET path` answers 200 within a second."""
    connection = http.client.HTTPConnection(address, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

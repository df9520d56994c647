"""The host's log on standard error.

Of a function's log, only the message travels, as in the real host: neither the logger's name nor `extra`. What is
logged outside of a call, such as by a thread that a function started, is not shown there at all; here, warnings are.
"""

from __future__ import annotations

import logging
import sys

from local.functions_host.functions.invocation import current_function
from local.plain import PlainFormatter

OUR_LOGGERS = "local.functions_host"
KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logging(*, as_azure: bool) -> None:
    """Send all logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Shown(as_azure=as_azure))
    handler.setFormatter(Formatter("[%(asctime)s] %(levelname)s %(source)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class Shown(logging.Filter):
    """Lets through what the host logs and what is logged during a call; names the source of each record."""

    def __init__(self, *, as_azure: bool) -> None:
        super().__init__()
        self._least = logging.CRITICAL + 1 if as_azure else logging.WARNING

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(OUR_LOGGERS):
            record.source = record.name
            return True
        function = current_function.get()
        record.source = f"Function.{function}.User" if function else record.name
        return bool(function) or record.levelno >= self._least


class Formatter(PlainFormatter):
    """Also appends the values of `extra` to a message of the host itself, as `name=value`."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        text = super().formatMessage(record)
        if not record.name.startswith(OUR_LOGGERS):
            return text
        hidden = KNOWN | {"source"}
        return text + "".join(f" {name}={value}" for name, value in vars(record).items() if name not in hidden)

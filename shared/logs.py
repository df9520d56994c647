"""Log lines whose ids stand in the message: the Functions host passes on only the formatted message.

`extra` and the name of the logger are lost there.
"""

from __future__ import annotations

import logging

from shared import telemetry


def event(log: logging.Logger, level: int, name: str, *, error: BaseException | None = None, **ids: object) -> None:
    """Log `name id=value id=value`, with the traceback of `error`.

    A value with spaces or line breaks is quoted, so that one event stays one line that can be split.
    """
    telemetry.note(name, ids)
    if log.isEnabledFor(level):
        pairs = "".join(f" {key}={_shown(value)}" for key, value in ids.items() if value is not None)
        log.log(level, "%s", name + pairs, exc_info=error, stacklevel=2)


def _shown(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and not any(sign in text for sign in ' "=') else repr(text)

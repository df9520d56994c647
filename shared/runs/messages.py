"""DOC."""

from __future__ import annotations

import msgspec


class _RunLook(msgspec.Struct):
    run_id: str
    generation: int


def run_look(body: bytes) -> tuple[str, int]:
    message = msgspec.json.decode(body, type=_RunLook)
    return message.run_id, message.generation

"""Kept items: those of conversations and those of stored responses, each with the event that it stands for.

An item that a client sends back, whole or as an `item_reference`, is recognised by its id: the service shows the
results of a file search and the output of code only on demand, so the client may not have them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from local.openai_emulator.agent.conversation import EVENTS, Event
from local.openai_emulator.store import Body, Page, Paging, Store

KIND = "item"  # its parent is the conversation or the response


@dataclass(frozen=True, kw_only=True)
class Item:
    body: Body  # as on the wire, with results and outputs
    event: Event | None  # None: no model reads it


class Items:
    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, parent: str, items: Iterable[Item]) -> None:
        for item in items:
            events = EVENTS.dump_python([item.event] if item.event else [], mode="json")
            self._store.put(KIND, item.body["id"], {"item": item.body, "events": events}, parent=parent)

    def find(self, item_id: str) -> Item | None:
        """An item of any conversation or response."""
        parents = self._store.parents(KIND, item_id)
        return self.get(parents[-1], item_id) if parents else None

    def get(self, parent: str, item_id: str) -> Item | None:
        body = self._store.get(KIND, item_id, parent=parent)
        return None if body is None else _read(body)

    def all(self, parent: str) -> list[Item]:
        return [_read(body) for body in self._store.all(KIND, parent=parent)]

    def page(self, parent: str, paging: Paging) -> Page:
        """The items on the wire."""
        page = self._store.page(KIND, paging, parent=parent)
        return Page(bodies=[body["item"] for body in page.bodies], ids=page.ids, has_more=page.has_more)

    def delete(self, parent: str, item_id: str) -> bool:
        """True if it existed."""
        return self._store.delete(KIND, item_id, parent=parent)

    def delete_all(self, parent: str) -> None:
        self._store.delete_children(KIND, parent)


def _read(body: dict[str, Any]) -> Item:
    events = EVENTS.validate_python(body["events"])
    return Item(body=body["item"], event=events[0] if events else None)

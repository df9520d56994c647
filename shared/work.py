"""What the queue `indexing` brings, and to whom it goes. A message nobody can read raises: the host poisons it."""

from __future__ import annotations

import msgspec

from shared.documents import Documents
from shared.errors import Busy, NotFound
from shared.events import GAVE_UP
from shared.reconcile import Reconciliation
from shared.removal import Removal


class Work(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message; one of its fields says what it is about."""

    path: str | None = None  # look at this document
    admitted: bool = False  # it is its turn to be sent
    retry: bool = False  # index it anew
    removed: str | None = None  # its blob is gone
    folder: str | None = None  # delete the blobs below it
    collection: str | None = None  # delete it
    report: str | None = None  # compare everything
    reconcile: str | None = None  # compare this collection, of which a store was lost


class Worker:
    def __init__(self, documents: Documents, removal: Removal, reconciliation: Reconciliation) -> None:
        self._documents = documents
        self._removal = removal
        self._reconciliation = reconciliation

    async def do(self, body: bytes) -> None:
        """Do what one message asks for."""
        match msgspec.json.decode(body, type=Work):
            case Work(path=str(path), retry=True):
                await self._retry(path)
            case Work(path=str(path), admitted=admitted):
                await self._documents.look(path, admitted=admitted)
            case Work(removed=str(path)):
                await self._documents.remove(path)
            case Work(folder=str(folder)):
                await self._removal.remove_folder(folder)
            case Work(collection=str(name)):
                await self._removal.remove_collection(name)
            case Work(report=str(report_id)):
                await self._reconciliation.run(report_id)
            case Work(reconcile=str(name)):
                await self._reconciliation.order(dry_run=False, collection=name)
            case _:
                raise ValueError("The message names nothing to be done.")

    async def give_up(self, body: bytes) -> None:
        """The host has stopped trying."""
        work = msgspec.json.decode(body, type=Work)
        if path := work.path:
            await self._documents.give_up(path, GAVE_UP)
        elif report_id := work.report:
            await self._reconciliation.fail(report_id)

    async def _retry(self, path: str) -> None:
        try:
            await self._documents.retry(path, afresh=False)
        except (NotFound, Busy):  # it is gone since, or someone is at it
            return

"""What the queue `indexing` brings, and to whom it goes. A message nobody can read raises: the host poisons it."""

from __future__ import annotations

import msgspec

from shared.documents.indexer import Documents
from shared.documents.messages import GAVE_UP, Work
from shared.documents.reconcile import Reconciliation
from shared.documents.removal import Removal
from shared.errors import Busy, NotFound


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

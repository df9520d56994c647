"""Builds one emulator: its store, search index, sandbox and model, and the API families that use them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from local.openai_emulator import models
from local.openai_emulator.agent.model import Model
from local.openai_emulator.assistants.api import AssistantsApi
from local.openai_emulator.batches.batches import Batches
from local.openai_emulator.batches.calls import OwnCalls
from local.openai_emulator.chat.completions import ChatCompletions
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.containers.routes import ContainerRoutes
from local.openai_emulator.embeddings.embeddings import Embeddings
from local.openai_emulator.files.files import Files
from local.openai_emulator.models.chat import ChatModel
from local.openai_emulator.models.offline.builtin import BuiltinModel
from local.openai_emulator.responses.attachments import Attachments
from local.openai_emulator.responses.conversations import Conversations
from local.openai_emulator.responses.items import Items
from local.openai_emulator.responses.responses import Responses
from local.openai_emulator.responses.turns import Turns
from local.openai_emulator.responses.webhooks import Webhooks
from local.openai_emulator.sandbox import Sandbox, SandboxUnavailable, Session
from local.openai_emulator.search import tokens
from local.openai_emulator.search.index import Index
from local.openai_emulator.settings import Settings
from local.openai_emulator.store import Store
from local.openai_emulator.tasks import Tasks
from local.openai_emulator.uploads.uploads import Uploads
from local.openai_emulator.vector_stores.batches import FileBatches
from local.openai_emulator.vector_stores.files import VectorStoreFiles
from local.openai_emulator.vector_stores.stores import VectorStores

logger = logging.getLogger(__name__)

_SWEEP_EVERY_S = 30


class CodeInterpreter:
    """Starts and checks the sandbox on first use; without a sandbox the rest of the emulator still works."""

    def __init__(self, *, trusted: bool) -> None:
        """`trusted`: all code is that of the built-in model, or the user allows any code to run unprotected."""
        self._sandbox = Sandbox(trusted=trusted)
        self._started: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the sandbox, once.

        Raises:
            SandboxUnavailable: it does not work here; every later call raises this again.
        """
        if self._started is None:
            self._started = asyncio.create_task(self._sandbox.start(), name="sandbox start")
        await asyncio.shield(self._started)

    async def open_session(self) -> Session:
        await self.start()
        return await self._sandbox.open()

    async def close(self) -> None:
        if self._started is not None:
            self._started.cancel()
            await asyncio.gather(self._started, return_exceptions=True)
        await self._sandbox.close()

    def health(self) -> dict[str, Any]:
        if self._started is None:
            return {"status": "not started"}
        if not self._started.done():
            return {"status": "starting"}
        if (reason := self._started.exception()) is not None:
            return {"status": "unavailable", "reason": str(reason)}
        tier = self._sandbox.tier
        assert tier is not None
        known = {"tier": tier.number, "name": tier.name, "weaker": tier.weaker}
        known |= {"reason": self._sandbox.reason, "remedy": self._sandbox.remedy}
        return {"status": "available"} | {key: value for key, value in known.items() if value}


class Emulator:
    """All API families on one store. Use `open_emulator` to build one."""

    def __init__(
        self,
        *,
        store: Store,
        index: Index,
        folder: Path,
        model: Model,
        interpreter: CodeInterpreter,
        webhooks: Webhooks,
        clock: Callable[[], float],
        store_max_files: int,
    ) -> None:
        self.store = store
        self.model = model
        self._index = index
        self._interpreter = interpreter
        self._tasks = Tasks[str]()
        self.files = Files(store=store, folder=folder / "files", clock=clock, detach=self._detach_file)
        self.vector_store_files = VectorStoreFiles(
            store=store, files=self.files, index=index, clock=clock, max_files=store_max_files
        )
        self.vector_stores = VectorStores(store=store, files=self.vector_store_files, index=index, clock=clock)
        self._uploads = Uploads(store=store, folder=folder / "uploads", files=self.files, clock=clock)
        self._chat = ChatCompletions(store=store, model=model, clock=clock)
        self._file_batches = FileBatches(store=store, files=self.vector_store_files, clock=clock)
        self.containers = Containers(
            store=store,
            folder=folder / "containers",
            files=self.files,
            open_session=interpreter.open_session,
            clock=clock,
        )
        items = Items(store)
        attachments = Attachments(files=self.files, index=index, model=model)
        self._conversations = Conversations(store=store, items=items, attachments=attachments, clock=clock)
        self.responses = self._responses(items, attachments, webhooks=webhooks, clock=clock)
        calls = OwnCalls([*self.responses.routes(), *self._chat.routes(), *Embeddings().routes()])
        self._batches = Batches(store=store, folder=folder / "batches", files=self.files, call=calls, clock=clock)
        self.assistants_api = AssistantsApi(
            store=store,
            files=self.files,
            stores=self.vector_stores,
            store_files=self.vector_store_files,
            containers=self.containers,
            model=model,
            clock=clock,
        )

    def _responses(
        self, items: Items, attachments: Attachments, *, webhooks: Webhooks, clock: Callable[[], float]
    ) -> Responses:
        turns = Turns(
            store=self.store,
            items=items,
            attachments=attachments,
            files=self.files,
            stores=self.vector_stores,
            containers=self.containers,
            model=self.model,
            clock=clock,
        )
        return Responses(store=self.store, items=items, turns=turns, model=self.model, webhooks=webhooks, clock=clock)

    def routes(self) -> list[BaseRoute]:
        return [
            *self.files.routes(),
            *self.vector_stores.routes(),
            *self.vector_store_files.routes(),
            *self._file_batches.routes(),
            *self._uploads.routes(),
            *self._chat.routes(),
            *Embeddings().routes(),
            *ContainerRoutes(containers=self.containers, files=self.files).routes(),
            *self.responses.routes(),
            *self._conversations.routes(),
            *self._batches.routes(),
            *self.assistants_api.routes(),
        ]

    def health(self) -> dict[str, Any]:
        return {"status": "ok", "model": self.model.name, "sandbox": self._interpreter.health()}

    def start(self, *, warm: bool = False) -> None:
        """Handle unfinished work of an earlier process and start the sweep.

        `warm`: start the sandbox and load the index now, not at the first request.
        """
        self.responses.fail_unfinished()
        self.assistants_api.runs.fail_unfinished()
        self.vector_store_files.resume()
        self.files.drop_unrecorded()
        self._uploads.drop_unrecorded()
        self._batches.resume()
        self._tasks.start("sweep", self._sweep_for_ever)
        if warm:
            self._tasks.start("warm", self._warm)

    async def _warm(self) -> None:
        try:
            await self._interpreter.start()
        except SandboxUnavailable as exc:
            logger.warning("sandbox.unavailable: %s", exc)
        await self._index.warm()
        await asyncio.to_thread(tokens.encoding)

    async def sweep(self) -> None:
        """Expire runs, containers and files whose time is over."""
        await self.assistants_api.runs.expire()
        await self.containers.sweep()
        await self.files.sweep()
        self._uploads.sweep()

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            try:
                await self.sweep()
            except Exception:
                logger.exception("sweep.failed")

    async def close(self) -> None:
        await self._tasks.close()
        await self._batches.close()
        await self.responses.close()
        await self.assistants_api.runs.close()
        await self.vector_store_files.close()
        await self.containers.close()

    async def _detach_file(self, file_id: str) -> None:
        await self.vector_store_files.drop_file(file_id)  # created after `files`, which needs this callback


@asynccontextmanager
async def open_emulator(
    settings: Settings,
    *,
    model: Model | None = None,
    clock: Callable[[], float] = time.time,
    warm: bool = False,
) -> AsyncIterator[Emulator]:
    """Open the data folder and start the emulator; closes everything when the block ends."""
    async with AsyncExitStack() as stack:
        if settings.data is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="openai-emulator-")))
        else:
            folder = settings.data
            folder.mkdir(parents=True, exist_ok=True)
        kept = settings.data is not None
        store = stack.enter_context(contextlib.closing(Store(folder / "emulator.db" if kept else None)))
        index = Index(folder / "index.db" if kept else None, max_file_tokens=settings.file_max_tokens)
        stack.push_async_callback(index.close)
        if model is None:
            model = models.from_settings(settings)
            if isinstance(model, ChatModel):
                stack.push_async_callback(model.close)
        interpreter = CodeInterpreter(trusted=settings.unsafe_code or isinstance(model, BuiltinModel))
        stack.push_async_callback(interpreter.close)
        webhooks = Webhooks(url=settings.webhook_url, secret=settings.webhook_secret)
        stack.push_async_callback(webhooks.close)
        emulator = Emulator(
            store=store,
            index=index,
            folder=folder,
            model=model,
            interpreter=interpreter,
            webhooks=webhooks,
            clock=clock,
            store_max_files=settings.store_max_files,
        )
        stack.push_async_callback(emulator.close)
        emulator.start(warm=warm)
        yield emulator

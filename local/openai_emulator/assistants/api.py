"""Builds the Assistants API: assistants, threads, messages, runs and run steps."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import BaseRoute

from local.openai_emulator.agent.model import Model
from local.openai_emulator.assistants.assistants import Assistants
from local.openai_emulator.assistants.messages import Messages
from local.openai_emulator.assistants.resources import ToolResources
from local.openai_emulator.assistants.run_events import RunEvents
from local.openai_emulator.assistants.run_records import RunRecords
from local.openai_emulator.assistants.run_routes import RunRoutes
from local.openai_emulator.assistants.run_steps import RunSteps
from local.openai_emulator.assistants.runs import Runs
from local.openai_emulator.assistants.thread_routes import ThreadRoutes
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.assistants.turns import AssistantTurns
from local.openai_emulator.containers.containers import Containers
from local.openai_emulator.files.files import Files
from local.openai_emulator.store import Store
from local.openai_emulator.vector_stores.files import VectorStoreFiles
from local.openai_emulator.vector_stores.stores import VectorStores


class AssistantsApi:
    def __init__(
        self,
        *,
        store: Store,
        files: Files,
        stores: VectorStores,
        store_files: VectorStoreFiles,
        containers: Containers,
        model: Model,
        clock: Callable[[], float],
    ) -> None:
        resources = ToolResources(files=files, stores=stores, store_files=store_files)
        threads = Threads(store=store, resources=resources, containers=containers, clock=clock)
        messages = Messages(store=store, threads=threads, clock=clock)
        records = RunRecords(store=store, clock=clock)
        turns = AssistantTurns(
            files=files, stores=stores, containers=containers, threads=threads, messages=messages, records=records
        )
        events = RunEvents()
        self.runs = Runs(
            records=records,
            steps=RunSteps(store=store, events=events, clock=clock),
            events=events,
            threads=threads,
            messages=messages,
            turns=turns,
            store_files=store_files,
            model=model,
            clock=clock,
        )
        self._assistants = Assistants(store=store, resources=resources, clock=clock)
        self._threads = ThreadRoutes(threads=threads, messages=messages, runs=self.runs, resources=resources)
        self._runs = RunRoutes(
            runs=self.runs,
            assistants=self._assistants,
            threads=threads,
            messages=messages,
            thread_routes=self._threads,
            resources=resources,
            model=model,
            clock=clock,
        )

    def routes(self) -> list[BaseRoute]:
        # `/threads/runs` must come before `/threads/{thread_id}`
        return [*self._assistants.routes(), *self._runs.routes(), *self._threads.routes()]

"""A conversation with the built-in model, with the real search index and the real sandbox, without HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.openai_emulator.agent.conversation import DataFile, Event, OutputFile, Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.model import RunCode, Say, Search
from local.openai_emulator.models.offline.builtin import BuiltinModel
from local.openai_emulator.sandbox import Session
from local.openai_emulator.search.index import Index
from local.paths import ROOT

SAMPLES = ROOT / "samples"
MOST_STEPS = 8


@dataclass
class Conversation:
    """One thread. `moves` are the model's moves for the last question."""

    index: Index | None = None
    session: Session | None = None
    data: Sequence[Path] = ()
    events: list[Event] = field(default_factory=list)
    moves: list[object] = field(default_factory=list)

    async def ask(self, question: str) -> Say:
        start = len(self.events)
        self.events.append(Said(role="user", text=question))
        self.moves = []
        tools = Toolbox(
            file_search=self.index is not None,
            code_interpreter=self.session is not None,
            data_files=tuple(DataFile(filename=path.name, size_bytes=path.stat().st_size) for path in self.data),
        )
        for _ in range(MOST_STEPS):
            prompt = Prompt(model="m", instructions="", events=tuple(self.events), turn_starts_at=start, tools=tools)
            move = (await BuiltinModel().step(prompt)).move
            self.moves.append(move)
            if isinstance(move, Say):
                self.events.append(Said(role="assistant", text=move.text, citations=move.citations))
                return move
            self.events.append(await self._done(move))
        raise AssertionError(f"no answer after {MOST_STEPS} steps")

    async def _done(self, move: object) -> Event:
        if isinstance(move, Search):
            assert self.index is not None
            return Searched(queries=move.queries, passages=tuple(await self.index.search(["vs"], move.queries)))
        assert isinstance(move, RunCode)
        assert self.session is not None
        outcome = await self.session.run(move.code)
        files = tuple(
            OutputFile(file_id=f"cfile_{name}", filename=name, container_id="cntr_1", is_image=name.endswith(".png"))
            for name in outcome.changed
        )
        return Ran(code=move.code, logs=outcome.logs, files=files, failed=outcome.failed)

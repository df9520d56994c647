"""Threads that ask questions, poll their runs, and cancel some."""

from __future__ import annotations

import random
from collections.abc import Sequence

import httpx2

from tests.chaos.checks import TERMINAL
from tests.chaos.clients import Client, Site
from tests.chaos.contents import Item
from tests.chaos.history import Look, Question

POLLS_MAX = 60  # of one run, half a second apart; then the asker asks something else


class Asker(Client):
    """Asks about random items until `stop`. Each question has a key, which its metadata repeat."""

    def __init__(self, items: Sequence[Item], site: Site, *, seed: str) -> None:
        super().__init__(site, f"asker {seed}")
        self._items = items
        self._seed = seed
        self._random = random.Random(seed)
        self._asked = 0

    def act(self) -> None:
        while not self.stopped.wait(self._random.uniform(0, 1)):
            self.ask(self._item(), cancel=self._random.random() < 0.1)

    def _item(self) -> Item:
        """Often one that was written a moment ago."""
        recent = {operation.path for operation in self.history.operations[-3:]}
        hot = [item for item in self._items if item.path in recent]
        return self._random.choice(hot if hot and self._random.random() < 0.7 else self._items)

    def ask(self, item: Item, *, cancel: bool = False) -> None:
        """Ask about an item, and follow the run."""
        question = self._question(item)
        self.history.questions.append(question)
        run = self._post(question)
        if run is None:
            return
        if self._random.random() < 0.2:
            self._post(question)  # a caller may repeat it at any time
        if cancel:
            question.cancelled = True
            self._request("POST", f"/runs/{run['id']}/cancel")
        if self._follow(run["id"]) == "completed":
            self.site.threads.setdefault(item.path, []).append(run["thread_id"])

    def _question(self, item: Item) -> Question:
        self._asked += 1
        threads = self.site.threads.get(item.path, [])  # they have seen earlier versions of it
        return Question(
            key=f"{self._seed}-{self._asked}",
            text=item.question,
            sent_s=self.history.now_s(),
            collection=item.collection,
            files=(item.path,) if item.is_table and self._random.random() < 0.5 else (),
            thread_id=self._random.choice(threads[-5:]) if threads and self._random.random() < 0.5 else None,
        )

    def _post(self, question: Question) -> dict[str, str] | None:
        """POST until an answer comes, with the same key; None when the question was not accepted."""
        body = {
            "question": question.text,
            "collection": question.collection,
            "callback_url": self.site.callback_url,
            "metadata": {"key": question.key},
            **({"files": list(question.files)} if question.files else {}),
            **({"thread_id": question.thread_id} if question.thread_id else {}),
        }
        for _ in range(self._random.choice((1, 3, 10))):  # some callers give up at once
            answer = self._request("POST", "/runs", json=body, headers={"Idempotency-Key": question.key})
            if answer is not None and answer.status_code == 202:
                run: dict[str, str] = answer.json()
                question.run_ids.add(run["id"])
                return run
            if answer is not None and answer.status_code < 500 and answer.status_code not in (409, 429):
                return None
            if self.stopped.wait(1):
                return None
        return None

    def _follow(self, run_id: str) -> str | None:
        """Poll a run; returns its last status."""
        status = None
        for _ in range(POLLS_MAX):
            answer = self._request("GET", f"/runs/{run_id}")
            if answer is not None and answer.status_code in (200, 202):
                status = answer.json()["status"]
                self.history.looks.append(Look(run_id=run_id, status=status, at_s=self.history.now_s()))
                if status in TERMINAL:
                    break
            if self.stopped.wait(0.5):
                break
        return status

    def _request(self, method: str, path: str, **more: object) -> httpx2.Response | None:
        with self.site.gate.open():
            try:
                return self.http.request(method, path, **more)  # type: ignore[arg-type]
            except httpx2.HTTPError:
                return None

"""`chat`: ask questions in one thread. A line that begins with `/` is a command to the chat itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from local.client import Client, Json
from local.commands.asking import Interrupted, ask, cancel, show
from local.commands.listings import Spent, counted, newest_thread, threads
from local.commands.pictures import Charts
from local.errors import LocalError, RequestFailed, as_problem
from local.paths import COMMAND
from local.plain import one_line
from local.terminal import Terminal

QUIT_WORDS = {"quit", "exit", "/quit", "/exit"}
FILES_SHOWN = 40
MESSAGES_SHOWN = 6
LAST = "last"


class Reader(Protocol):
    """Where questions come from."""

    def read(self) -> str: ...


class Chat:
    """A conversation in a terminal.

    Args:
        collection: The one to search; None: that of the thread, else `default`.
        as_json: Whether each run is printed on stdout as one line of JSON.
    """

    def __init__(
        self,
        terminal: Terminal,
        client: Client,
        *,
        collection: str | None = None,
        charts: Charts | None = None,
        as_json: bool = False,
    ) -> None:
        self._terminal = terminal
        self._client = client
        self._collection = collection
        self._charts = charts
        self._as_json = as_json
        self._is_moved = False  # whether the collection was chosen after the thread began
        self._last: Json | None = None
        self.thread_id: str | None = None
        self._commands: dict[str, tuple[str, str, Callable[[str], None]]] = {
            "/help": ("", "this list", self._help),
            "/files": ("[WORD]", "the documents of the collection, with WORD in their names", self._files),
            "/collection": ("[NAME]", "the collections; with NAME, search that one from now on", self._choose),
            "/thread": (
                "[ID|last|new]",
                "this thread; take up another one, the newest one, or begin one",
                self._thread,
            ),
            "/threads": ("", "the newest threads", self._threads),
            "/cost": ("", "tokens and cost of this thread", self._cost),
            "/code": ("", "the code that the last answer ran, and what it printed", self._code),
            "/quit": ("", "end the chat; so do Ctrl-D, and Ctrl-C twice", lambda _: None),
        }

    def run(self, reader: Reader) -> None:
        """Answer until `quit`, the end of the input, or Ctrl-C twice while no question runs."""
        is_leaving = False
        while True:
            try:
                text = reader.read()
                is_leaving = False
                if text.lower() in QUIT_WORDS:
                    return
                self._take(text)
            except EOFError:
                self._terminal.say()
                return
            except KeyboardInterrupt:
                self._terminal.say()
                if is_leaving:
                    return
                is_leaving = True
                self._terminal.say("Ctrl-C again, or Ctrl-D, ends the chat.", style="dim")
            except LocalError as exc:  # the next question may succeed
                self._terminal.error(str(exc), exc.advice)
                self._print_json(as_problem(exc))

    def take_up(self, thread_id: str) -> None:
        """Continue a thread: show its last messages, and wait for its question that is still running, if any.

        Raises:
            LocalError: there is no such thread.
        """
        if thread_id == LAST:
            thread_id = newest_thread(self._client)
        path = f"/api/threads/{quote(thread_id, safe='')}"
        thread, messages = self._client.get(path), self._client.get(f"{path}/messages")["messages"]
        self.thread_id, self._last, self._is_moved = thread["id"], None, False
        self._collection = None
        for message in messages[-MESSAGES_SHOWN:]:
            self._terminal.message(message["role"], message["text"])
        self._terminal.say(
            f"{self.thread_id} goes on, in the collection {one_line(thread['collection'])}.", style="dim"
        )
        if thread["active_run_id"]:
            self._await(thread["active_run_id"])

    def move(self, collection: str) -> None:
        """Search another collection from now on; a thread that has begun goes on.

        Raises:
            LocalError: there is no such collection.
        """
        self._client.get(f"/api/collections/{quote(collection, safe='')}")
        self._collection, self._is_moved = collection, self.thread_id is not None
        self._terminal.say(f"Questions now search {one_line(collection)}.", style="dim")

    def _take(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if name in self._commands:
            self._commands[name][2](rest.strip())
        elif text.startswith("/"):
            self._terminal.error(f"There is no command {name}.", "`/help` lists the commands.")
        elif text:
            self._ask(text)

    def _ask(self, text: str) -> None:
        try:
            run = ask(
                self._terminal,
                self._client,
                text,
                thread_id=self.thread_id,
                collection=self._collection,
                allow_other_collection=self._is_moved,
                charts=self._charts,
            )
        except Interrupted as exc:
            self.thread_id = exc.thread_id
            self._print_json(exc.as_json())
            return
        except RequestFailed as exc:
            if exc.code == "thread_not_found":
                self.thread_id = None
                exc.advice = "The next question begins a new thread."
            raise
        self._keep(run)

    def _await(self, run_id: str) -> None:
        """Show the run that the thread is waiting for. One that waits for functions can only be given up."""
        assert self.thread_id is not None
        accepted = self._client.accepted(run_id, self.thread_id)
        run, _ = self._client.look(accepted)
        if run["status"] == "requires_action":
            self._terminal.say("Its last question waits for results of functions, which this chat cannot give.")
            return
        try:
            with self._terminal.watching() as watch:
                run = self._client.wait(accepted, on_look=watch.update)
        except KeyboardInterrupt:
            cancel(self._terminal, self._client, accepted)
            return
        show(self._terminal, self._client, run, charts=self._charts)
        self._keep(run)

    def _keep(self, run: Json) -> None:
        self.thread_id, self._last = run["thread_id"], run
        self._print_json(run)

    def _print_json(self, value: Json) -> None:
        if self._as_json:
            sys.stdout.write(json.dumps(value) + "\n")
            sys.stdout.flush()

    def _help(self, _: str) -> None:
        for name, (arguments, text, _run) in self._commands.items():
            self._terminal.pair(f"{name} {arguments}", text)
        self._terminal.say(
            '  A line that ends in \\ goes on in the next one; """ begins and ends several lines.', "dim"
        )
        self._terminal.say("  Ctrl-C cancels the question that runs.", "dim")

    def _files(self, word: str) -> None:
        where = self._collection or self._thread_collection() or "default"
        found = [each for each in self._client.documents(where) if word.lower() in each["path"].lower()]
        for document in found[:FILES_SHOWN]:
            self._terminal.document(document)
        more = f"; the first {FILES_SHOWN} are shown" if len(found) > FILES_SHOWN else ""
        self._terminal.say(f"  {counted(found, 'document')} in {where}{more}.", style="dim")

    def _thread_collection(self) -> str | None:
        return str(self._client.get(f"/api/threads/{self.thread_id}")["collection"]) if self.thread_id else None

    def _choose(self, name: str) -> None:
        if name:
            self.move(name)
            return
        current = self._collection or self._thread_collection() or "default"
        for each in self._client.listed("/api/collections", "collections"):
            mark = "  ← searched" if each["name"] == current else ""
            self._terminal.pair(each["name"], f"{each['documents']:,} documents{mark}")

    def _thread(self, chosen: str) -> None:
        if chosen == "new":
            self.thread_id, self._last, self._is_moved = None, None, False
            self._terminal.say("The next question begins a new thread.", style="dim")
        elif chosen:
            self.take_up(chosen)
        elif self.thread_id:
            self._terminal.say(f"{self.thread_id}; `{COMMAND} chat --thread {self.thread_id}` takes it up again.")
        else:
            self._terminal.say("There is no thread yet; the first question begins one.")

    def _threads(self, _: str) -> None:
        for thread_id, run in threads(self._client).items():
            self._terminal.pair(thread_id, f"{run['created_at'][:16]}  {run['question']}")

    def _cost(self, _: str) -> None:
        spent = Spent()
        if self.thread_id:
            for run in self._client.listed("/api/runs", "runs", thread_id=self.thread_id, limit=100):
                spent.add(self._client.get(f"/api/runs/{run['id']}"))
        self._terminal.pair("this thread", spent.line())

    def _code(self, _: str) -> None:
        steps = [step for step in (self._last or {}).get("steps") or [] if step.get("code")]
        for step in steps:
            self._terminal.code(step["code"], step.get("output") or "")
        if not steps:
            self._terminal.say("The last answer ran no code." if self._last else "There is no answer yet.")


def chat(
    terminal: Terminal,
    client: Client,
    reader: Reader,
    *,
    collection: str | None,
    thread_id: str | None,
    charts: Charts | None = None,
    as_json: bool = False,
) -> int:
    """Run a chat, which begins with a thread if one is named, and say at its end how it is continued."""
    talk = Chat(terminal, client, collection=collection, charts=charts, as_json=as_json)
    terminal.heading("Chat")
    terminal.say("Ask about your documents. `/help` lists the commands; Ctrl-C cancels a question.", style="dim")
    if thread_id:
        talk.take_up(thread_id)
        if collection:
            talk.move(collection)
    talk.run(reader)
    if talk.thread_id:
        terminal.next_step(f"`{COMMAND} chat --thread {talk.thread_id}` continues this thread.")
    return 0

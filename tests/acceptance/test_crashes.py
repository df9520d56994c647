"""The process is ended at each call to storage, queue and engine in turn, from POST to answer: each run has one answer.

It ends after each call, and before those calls where a crash leaves another state than a crash after the call before.
`crashing.py` finds these calls.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from local.paths import ROOT
from local.stack.stack import Options, Stack
from tests.acceptance import storage
from tests.acceptance.chat_server import ChatServer
from tests.forked import forked

pytestmark = pytest.mark.long

CALLS_MAX = 90
CRASHES = {  # calls that must be among those at which the process ended
    "after": ("write idempotency/", "write threads/", "start", "send", "look", "answer_calls", "/answer.md", "delete"),
    "before": ("write idempotency/", "read runs/"),
}
TOOL = {"type": "function", "name": "weather", "description": "Of a city."}


@pytest.fixture(scope="module")
def crashing(
    tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str], chat_server: ChatServer
) -> Iterator[Stack]:
    """A stack whose host runs the app of `crashing.py`."""
    folder = Path(tmp_path_factory.mktemp("crashing"))
    app = folder / "app"
    app.mkdir()
    (app / "function_app.py").write_text("from tests.acceptance.crashing import load\n\napp = load()\n")
    host = json.loads((ROOT / "host.json").read_text())
    host["extensions"]["queues"]["maxPollingInterval"] = "00:00:00.100"
    (app / "host.json").write_text(json.dumps(host))
    environ = {
        **plain_environ,
        "EMULATOR_MODEL_URL": chat_server.url,
        "EMULATOR_MODEL": "quick",
        "SWEEP_SCHEDULE": "* * * * * *",
        "CRASH_LOG": str(folder / "crashes.txt"),
    }
    stack = Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ)
    stack.host.command[stack.host.command.index("--app") + 1] = str(app)
    (folder / "crashes.txt").touch()
    assert stack.emulator
    assert stack.emulator.environ
    del stack.emulator.environ["EMULATOR_WEBHOOK_URL"]  # type: ignore[attr-defined]  # without webhooks, only scheduled looks
    with forked(stack):
        yield stack


class Caller:
    """Sends the same POST until it gets a run's id, and sends the outputs that the run waits for."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = httpx2.Client(base_url=f"{stack.app_url}/api", timeout=120, trust_env=False)
        self.ids: dict[str, str] = {}

    def post(self, key: str) -> None:
        body = {"question": "How is the weather?", "tools": [TOOL]}
        try:
            run = self._http.post("/runs", json=body, headers={"Idempotency-Key": key})
        except httpx2.HTTPError:
            return
        if run.status_code == 202:
            assert self.ids.setdefault(key, run.json()["id"]) == run.json()["id"]
        else:
            assert run.status_code == 503, run.text

    def look(self, key: str) -> storage.Json | None:
        """The run, or None while the host is down. Sends the outputs that the run waits for."""
        try:
            run: storage.Json = self._http.get(f"/runs/{self.ids[key]}").json()
            if run["status"] == "requires_action":
                outputs = [{"call_id": call["call_id"], "output": "sun"} for call in run["calls"]]
                if outputs:
                    self._http.post(f"/runs/{run['id']}/tool_outputs", json={"tool_outputs": outputs})
        except httpx2.HTTPError:
            return None
        return run

    def roles(self, run_id: str) -> list[str]:
        """The roles of the run's messages in its thread."""
        run = self._http.get(f"/runs/{run_id}").json()
        messages = self._http.get(f"/threads/{run['thread_id']}/messages").json()["messages"]
        return [message["role"] for message in messages if message["run_id"] == run_id]

    def close(self) -> None:
        self._http.close()


@pytest.mark.parametrize("when", ["after", "before"])
def test_a_crash_at_every_call_leaves_each_run_with_one_answer(
    crashing: Stack, chat_server: ChatServer, request: pytest.FixtureRequest, when: str
) -> None:
    chat_server.calls("weather", [("weather", "{}")])
    caller = Caller(crashing)
    request.addfinalizer(caller.close)
    before = len(storage.names(crashing, "state", "runs/"))
    keys: list[str] = []
    for n in range(1, CALLS_MAX):
        assert len(crashes_of(crashing, when)) == n - 1  # each earlier process crashed, once
        key = f"crash-{when}-{n}"
        keys.append(key)
        start(crashing, {"CRASH_KEY": key, "CRASH_AT": str(n), "CRASH_WHEN": when})
        if ended_without_a_crash(crashing, caller, keys):
            break
    else:
        pytest.fail("The run did not end without a crash.")
    for call in missed(crashing, when):  # on a slow machine, a process can make more calls, and others at each number
        keys.append(f"crash-{when}-{len(keys) + 1}")
        start(crashing, {"CRASH_KEY": keys[-1], "CRASH_AT": call, "CRASH_WHEN": when})
        assert not ended_without_a_crash(crashing, caller, keys)
    start(crashing, {})
    for key in keys:
        caller.post(key)
        storage.wait_until(lambda key=key: is_completed(caller.look(key)))  # type: ignore[misc]
    crashes = crashes_of(crashing, when)
    assert len(set(caller.ids.values())) == len(keys)
    # The process of the longest run can crash, too, at a call that it makes after its run has ended.
    assert len(crashes) in (len(keys) - 1, len(keys))
    assert missed(crashing, when) == [], "\n".join(crashes)
    for run_id in caller.ids.values():
        assert storage.names(crashing, "answers", run_id) == [f"{run_id}/answer.json", f"{run_id}/answer.md"]
        assert storage.read_json(crashing, "answers", f"{run_id}/answer.json")["status"] == "completed"
        assert caller.roles(run_id) == ["user", "assistant"]
    storage.wait_until(lambda: storage.names(crashing, "state", "active/") == [])
    assert len(storage.names(crashing, "state", "runs/")) == before + len(keys)


def crashes_of(stack: Stack, when: str) -> list[str]:
    """The calls at which the process ended."""
    return [line.partition(" ")[2] for line in log_of(stack) if line.startswith(f"{when} ")]


def missed(stack: Stack, when: str) -> list[str]:
    """The calls of `CRASHES` at which no process ended yet."""
    crashes = crashes_of(stack, when)
    return [call for call in CRASHES[when] if not any(call in crash for crash in crashes)]


def log_of(stack: Stack) -> list[str]:
    return Path((stack.host.environ or {})["CRASH_LOG"]).read_text().splitlines()


def start(stack: Stack, variables: dict[str, str]) -> None:
    """Start a new host process with these variables."""
    names = ("CRASH_KEY", "CRASH_AT", "CRASH_WHEN")
    kept = {name: value for name, value in (stack.host.environ or {}).items() if name not in names}
    stack.host.environ = {**kept, **variables}
    stack.start_again(stack.host)


def ended_without_a_crash(stack: Stack, caller: Caller, keys: list[str]) -> bool:
    """Follow the newest run until it or the process ends. A caller whose connection broke sends the POST again.

    The last call of a run deletes its marker in `active/`; the process can still end after it.
    """
    for key in keys[-2:]:
        caller.post(key)
    seen: storage.Json | None = None

    def done() -> bool:
        nonlocal seen
        if not stack.host.alive:
            return True
        if keys[-1] not in caller.ids:
            caller.post(keys[-1])
            return False
        seen = caller.look(keys[-1])
        return is_completed(seen) and f"closed {caller.ids[keys[-1]]}" in log_of(stack)

    storage.wait_until(done)
    return stack.host.alive


def is_completed(run: storage.Json | None) -> bool:
    assert run is None or run["status"] not in ("failed", "expired", "cancelled"), json.dumps(run)
    return run is not None and run["status"] == "completed"

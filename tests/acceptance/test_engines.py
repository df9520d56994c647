"""The demo's three questions get the same answers with the Assistants engine and the Responses engine."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import httpx2
import openai
import pytest

from local.client import Client
from local.demo import DOCUMENTS, QUESTIONS
from local.paths import ROOT
from local.stack.stack import Options, Stack
from tests.acceptance import storage
from tests.acceptance.api import Api
from tests.acceptance.service import service
from tests.forked import forked

SAMPLES = ROOT / "samples"
COLLECTION = "both-engines"


def answered(stack: Stack) -> list[storage.Json]:
    with Client(stack.app_url, storage=stack.azurite.connection_string) as client:
        etags = {f"{COLLECTION}/{name}": client.drop(SAMPLES / name, f"{COLLECTION}/{name}") for name in DOCUMENTS}
        final = client.wait_indexed(etags, on_final=lambda _: None)
        assert {document["status"] for document in final.values()} == {"indexed"}
        runs, thread_id = [], None
        for question in QUESTIONS:
            collection = None if thread_id else COLLECTION
            accepted = client.ask(question, collection=collection, thread_id=thread_id)
            runs.append(client.wait(accepted, on_look=lambda _: None))
            thread_id = accepted.thread_id
        return runs


def comparable(run: storage.Json) -> storage.Json:
    """The parts of an answer that do not depend on ids and times."""
    return {
        "status": run["status"],
        "answer": run["answer"].replace(run["id"], "RUN"),
        "citations": [
            {key: citation[key] for key in ("n", "document", "quote", "position", "page", "filename")}
            for citation in run["citations"]
        ],
        "charts": [(chart["n"], chart["filename"], chart["size_bytes"]) for chart in run["charts"]],
        "outputs": [(file["filename"], file["size_bytes"]) for file in run["outputs"]],
        "notes": run["notes"],
        "calls": {key: count for key, count in run["usage"].items() if key.endswith("_calls")},
    }


@pytest.fixture(scope="module")
def assistants_stack(tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]) -> Stack:
    folder = Path(tmp_path_factory.mktemp("assistants"))
    environ = {**plain_environ, "ENGINE": "assistants"}
    return forked(Stack(Options(data=folder / "data", logs=folder / "logs"), environ=environ))


@pytest.mark.long
def test_both_engines_give_the_same_answers(stack: Stack, assistants_stack: Stack) -> None:
    by_responses = answered(stack)
    with assistants_stack:
        by_assistants = answered(assistants_stack)
    for one, other in zip(by_assistants, by_responses, strict=True):
        assert comparable(one) == comparable(other)
    assert [len(run["charts"]) > 0 for run in by_assistants] == [False, True, False]


@pytest.mark.long
@pytest.mark.parametrize("engine", ["responses", "assistants"])
def test_a_thread_never_computes_from_an_old_data_file(
    engine: str, stack: Stack, assistants_stack: Stack, collection: str
) -> None:
    """Replaced, then deleted, while the thread's container is alive."""
    with nullcontext(stack) if engine == "responses" else assistants_stack as used, api_of(used) as api:
        path = f"{collection}/visits.csv"
        question = "What is the total of the visits?"

        def asked(**more: object) -> storage.Json:
            return api.until(api.ask(question, **more), "completed")

        put(api, path, b"month,visits\njan,1001\nfeb,2002\n")
        first = asked(collection=collection)
        thread_id = first["thread_id"]
        assert figures(first) == {"3003"}
        put(api, path, b"month,visits\njan,1111\nfeb,3333\n")
        second = asked(thread_id=thread_id)
        assert figures(second) == {"4444"}
        assert "visits.csv was replaced since the thread's last answer" in second["notes"][0]
        third = asked(thread_id=thread_id)
        assert (figures(third), third["notes"]) == ({"4444"}, [])
        api("DELETE", f"/documents/{path}", 202)
        storage.wait_until(lambda: storage.names(used, "state", f"index/{path}") == [])
        last = asked(thread_id=thread_id)
        assert not figures(last)
        assert "visits.csv was deleted since the thread's last answer" in last["notes"][0]


@contextmanager
def api_of(stack: Stack) -> Iterator[Api]:
    made = Api(stack.app_url)
    try:
        yield made
    finally:
        made.http.close()


def put(api: Api, path: str, content: bytes) -> None:
    response = api.http.put(f"/documents/{path}", content=content)
    assert response.is_success, response.text
    etag = response.json()["etag"]

    def is_live() -> bool:
        document = api.http.get(f"/documents/{path}").json()
        return document["status"] == "indexed" and document["etag"] == etag

    storage.wait_until(is_live)


def figures(run: storage.Json) -> set[str]:
    """The totals that the answer tells."""
    return {figure for figure in ("3003", "4444") if figure in run["answer"].replace(",", "")}


def test_a_response_whose_answer_was_lost_does_not_stay(stack: Stack, api: Api, collection: str) -> None:
    """The first start is carried out, and its connection breaks. Its webhook names it: the app takes or deletes it."""
    put(api, f"{collection}/guide.md", b"The limit is 42.")
    headers = {"authorization": f"Bearer {stack.admin_key}"}
    with httpx2.Client(base_url=stack.emulator_url, headers=headers, trust_env=False) as emulator:
        for rule in ({"drop": "after", "count": 1}, {}):  # the second rule only counts
            added = emulator.post("/admin/faults", json={"path": "/responses", "method": "POST", **rule})
            assert added.status_code == 201, added.text
        run = api.until(api.ask("What is the limit?", collection=collection), "completed")
        lost, later = [rule["applied"] for rule in emulator.get("/admin/faults").json()["data"]]
        emulator.delete("/admin/faults")
    assert lost == 1

    def record() -> storage.Json:
        return storage.read_json(stack, "state", f"runs/{run['id']}.json")

    def known() -> list[str]:
        return [*record()["engine_runs"], *record()["strays"]]

    storage.wait_until(lambda: len(known()) == 1 + later)
    responses = known()
    api("DELETE", f"/runs/{run['id']}", 204)
    with service(stack) as client:
        for response_id in responses:
            with pytest.raises(openai.NotFoundError):
                client.responses.retrieve(response_id)

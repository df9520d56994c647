"""The demo's three questions get the same answers with the Assistants engine and the Responses engine."""

from pathlib import Path

import pytest

from local.client import Client
from local.demo import DOCUMENTS, QUESTIONS
from local.paths import ROOT
from local.stack.stack import Options, Stack
from tests.acceptance import storage

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
    return Stack(Options(data=folder / "data", logs=folder / "logs"), environ={**plain_environ, "ENGINE": "assistants"})


def test_both_engines_give_the_same_answers(stack: Stack, assistants_stack: Stack) -> None:
    by_responses = answered(stack)
    with assistants_stack:
        by_assistants = answered(assistants_stack)
    for one, other in zip(by_assistants, by_responses, strict=True):
        assert comparable(one) == comparable(other)
    assert [len(run["charts"]) > 0 for run in by_assistants] == [False, True, False]

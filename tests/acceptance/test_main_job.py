"""Upload documents, ask questions, get a cited answer and a chart in Blob Storage."""

import json
import re
from collections.abc import Callable
from io import StringIO

import httpx2
import pandas as pd
import pytest

from local.client import Client
from local.demo import QUESTIONS
from local.paths import ROOT
from local.stack.stack import Stack
from tests.acceptance import storage
from tests.acceptance.host import Host, other_host

SAMPLES = ROOT / "samples"
PNG = b"\x89PNG\r\n\x1a\n"

Drop = Callable[[dict[str, bytes]], dict[str, storage.Json]]


@pytest.fixture(scope="module")
def answered(host: Host) -> list[storage.Json]:
    """The answers to the demo's three questions, asked in one thread about the samples."""
    with Client(host.url, storage=host.storage, key=host.key) as client:
        files = [path for path in SAMPLES.iterdir() if path.suffix in (".pdf", ".csv", ".md")]
        etags = {f"samples/{path.name}": client.drop(path, f"samples/{path.name}") for path in files}
        final = client.wait_indexed(etags, on_final=lambda _: None)
        assert {document["status"] for document in final.values()} == {"indexed"}
        assert len(final) == 4
        runs, thread_id = [], None
        for question in QUESTIONS:
            collection = None if thread_id else "samples"
            accepted = client.ask(question, collection=collection, thread_id=thread_id)
            runs.append(client.wait(accepted, on_look=lambda _: None))
            thread_id = accepted.thread_id
        return runs


def metrics() -> pd.DataFrame:
    table = pd.read_csv(SAMPLES / "server-metrics-february.csv")
    table["timestamp"] = pd.to_datetime(table["timestamp"])
    return table


def test_the_answer_cites_the_documents_and_their_figures(answered: list[storage.Json]) -> None:
    run = answered[0]
    assert run["status"] == "completed"
    assert {citation["document"] for citation in run["citations"]} == {"samples/monitoring-guide.pdf"}
    for figure in ("500 ms", "1,000 ms", "800 ms", "2,000 ms"):
        assert figure in run["answer"]
    assert any("500 ms" in citation["quote"] for citation in run["citations"])


def test_quotes_are_literally_in_the_document(answered: list[storage.Json]) -> None:
    import pypdfium2

    with pypdfium2.PdfDocument(SAMPLES / "monitoring-guide.pdf") as pdf:
        pages = [" ".join(page.get_textpage().get_text_range().split()) for page in pdf]
    for citation in answered[0]["citations"]:
        quote = " ".join(citation["quote"].split())
        assert quote
        assert any(quote in page for page in pages), quote
        assert quote in pages[citation["page"] - 1] + pages[citation["page"]]


def test_the_peak_hour_and_the_averages_are_correct(answered: list[storage.Json]) -> None:
    run, table = answered[1], metrics()
    by_hour = table.groupby(table["timestamp"].dt.hour)["requests"].mean()
    assert f"{by_hour.idxmax():02d}:00" in run["answer"]
    for server, mean in table.groupby("server")["response_time_ms"].mean().items():
        assert re.search(rf"{server}\D+{mean:.2f}", run["answer"]), (server, mean)


def test_the_chart_is_a_png_in_the_answers_container(answered: list[storage.Json], client: Client, host: Host) -> None:
    run = answered[1]
    assert run["charts"]
    for chart in run["charts"]:
        content = httpx2.get(chart["url"], headers=host.headers, trust_env=False).content
        assert content.startswith(PNG)
        assert host.storage is None or client.read_answer_blob(chart["path"]) == content


def test_the_follow_up_uses_the_thread(answered: list[storage.Json]) -> None:
    run = answered[2]
    assert run["thread_id"] == answered[0]["thread_id"]
    slowest = metrics().groupby("server")["response_time_ms"].mean().idxmax()
    of_slowest = metrics().query("server == @slowest")
    worst = of_slowest.groupby(of_slowest["timestamp"].dt.hour)["response_time_ms"].mean().idxmax()
    assert slowest in run["answer"]
    assert f"{worst:02d}:00" in run["answer"]


def test_the_answer_in_blob_storage_equals_the_answer_over_http(
    answered: list[storage.Json], client: Client, host: Host
) -> None:
    if host.storage is None:
        pytest.skip("It reads the storage account, and only the URL of the app is known.")
    for run in answered:
        blob = json.loads(client.read_answer_blob(f"{run['id']}/answer.json") or b"{}")
        assert blob["answer"] == run["answer"]
        assert blob["cost"] == run["cost"]
        assert blob["usage"]["total_tokens"] > 0
        assert blob["cost"]["usd"] > 0
        markdown = (client.read_answer_blob(f"{run['id']}/answer.md") or b"").decode()
        assert markdown == run["markdown"]
        assert run["question"].split()[0] in markdown
        assert "sandbox:" not in markdown


def test_the_answer_names_the_offline_model(answered: list[storage.Json]) -> None:
    if other_host() and answered[0]["model"] != "builtin":
        pytest.skip("The host answers with another model than the offline one.")
    assert answered[0]["model"] == "builtin"
    assert any("offline" in value for value in answered[0]["model_metadata"].values())


def test_no_answer_is_invented_when_the_documents_have_none(client: Client, collection: str, drop: Drop) -> None:
    drop({f"{collection}/lunch.md": b"# Lunch\n\nThe canteen serves soup on Mondays and pasta on Fridays.\n"})
    accepted = client.ask("What is the boiling point of tungsten?", collection=collection)
    run = client.wait(accepted, on_look=lambda _: None)
    assert run["status"] == "completed"
    assert run["citations"] == []
    assert not re.search(r"\d{3}", run["answer"])


def test_code_interpreter_gets_the_requested_files(client: Client, collection: str, drop: Drop) -> None:
    sales = pd.DataFrame({"shop": ["North", "South", "North"], "revenue_usd": [10.0, 20.0, 5.5]})
    other = pd.DataFrame({"shop": ["East"], "revenue_usd": [999.0]})
    drop({f"{collection}/a/sales.csv": _csv(sales), f"{collection}/b/sales.csv": _csv(other)})
    accepted = client.ask("What is the total revenue?", collection=collection, files=[f"{collection}/a/sales.csv"])
    run = client.wait(accepted, on_look=lambda _: None)
    assert run["files"] == [f"{collection}/a/sales.csv"]
    assert "35.5" in run["answer"]
    assert "999" not in run["answer"]


def test_a_run_is_202_with_location_until_it_is_200(host: Host, client: Client, collection: str, drop: Drop) -> None:
    drop({f"{collection}/note.txt": b"The backup runs at 02:30 every night and takes 40 minutes."})
    body = json.dumps({"question": "When does the backup run?", "collection": collection})
    headers = {"Content-Type": "application/json"}
    with httpx2.Client(trust_env=False, headers=host.headers) as http:
        response = http.post(f"{host.url}/api/runs", content=body, headers=headers)
        while response.status_code == 202:
            assert response.headers["location"].startswith(f"{host.url}/api/runs/run_")
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["status"] in ("queued", "in_progress")
            response = http.get(response.headers["location"])
    assert response.status_code == 200
    assert "02:30" in response.json()["answer"]


def test_a_run_writes_two_log_entries_of_its_own(stack: Stack, client: Client, collection: str, drop: Drop) -> None:
    """Its start and its end; no library logs its requests.

    In Azure the host adds two entries for each function. A run of three polls takes eight functions: the POST, the
    polls, the service's event and three looks. That makes 18 entries.
    """
    drop({f"{collection}/note.txt": b"The backup runs at 02:30 every night and takes 40 minutes."})
    run = client.wait(client.ask("When does the backup run?", collection=collection), on_look=lambda _: None)

    def of_the_app() -> list[str]:
        return [line.partition(".User ")[2] for line in stack.host.output().splitlines() if ".User " in line]

    storage.wait_until(lambda: any(text.startswith(f"run.completed run_id={run['id']}") for text in of_the_app()))
    assert all(re.match(r"[a-z]+\.[a-z_]+( [a-z_]+=|$)", text) for text in of_the_app()), of_the_app()
    own = [text.split()[0] for text in of_the_app() if run["id"] in text]
    assert own == ["run.accepted", "run.completed"]


def _csv(table: pd.DataFrame) -> bytes:
    text = StringIO()
    table.to_csv(text, index=False)
    return text.getvalue().encode()

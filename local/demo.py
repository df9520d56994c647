"""`make demo`: upload the samples, ask three questions, check and show the answers; all over HTTP and storage."""

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

from local.client import Client, Json
from local.errors import NotRunning
from local.paths import COMMAND, LOCAL, LOGS, SAMPLES, shown
from local.settings import Service, environ_with_dotenv
from local.stack.record import Running, running
from local.stack.stack import Options, Stack
from local.terminal import Terminal
from local.up import require_model, show_sandbox

News = SimpleQueue[tuple[Json, float] | None]

DEMO = LOCAL / "demo"
DOCUMENTS = (
    "monitoring-guide.pdf",
    "monthly-metrics.csv",
    "q4-incident-report.md",
    "server-metrics-february.csv",
)
QUESTIONS = (
    "What are the recommended alert thresholds for HTTP monitoring according to our documentation?",
    "Analyze the server metrics for February: find the peak usage hours, calculate the average response time by "
    "server, and create a chart showing response time trends",
    "Which of those servers was the slowest, and at what hour was it at its worst?",
)
CITED = "monitoring-guide.pdf"  # the first answer must cite it
CHART_QUESTION = 1  # the second answer must have a chart
PNG = b"\x89PNG\r\n\x1a\n"


def demo(terminal: Terminal) -> int:
    """Run the demo; return 0 if all documents are indexed and all answers are in Blob Storage, else 1."""
    for folder in ("answers", "logs"):
        shutil.rmtree(DEMO / folder, ignore_errors=True)
    with ExitStack() as ending:
        aside = ending.enter_context(ThreadPoolExecutor(max_workers=1))
        stack, ready_s = _stack(terminal, ending)
        client = ending.enter_context(Client(stack.app_url, storage=stack.storage))
        news: News = SimpleQueue()
        indexing = aside.submit(_index_samples, client, news)  # while the sandbox starts
        is_shown = show_sandbox(terminal, stack)
        terminal.heading(f"2  Dropping {len(DOCUMENTS)} documents into the blob container `documents`")
        for document, took_s in iter(news.get, None):
            terminal.document(document, took_s)
        documents = indexing.result()
        questions = list(_ask_questions(terminal, client))
        if not is_shown:
            show_sandbox(terminal, stack)
        missing = [*_missing_documents(documents), *_missing_answers(client, questions)]
        for number, question in enumerate(questions, start=1):
            _copy_answer(client, question["run_id"], DEMO / "answers" / str(number))
    report = {"documents": documents, "questions": questions, "stack_ready_s": ready_s}
    DEMO.mkdir(parents=True, exist_ok=True)
    (DEMO / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return _show_result(terminal, missing, logs=LOGS if ready_s is None else DEMO / "logs")


def _stack(terminal: Terminal, ending: ExitStack) -> tuple[Running, float | None]:
    """The running stack; else one started for the demo, with the seconds its start took."""
    try:
        stack, ready_s = running(), None
        terminal.heading("1  Using the stack that is up")
    except NotRunning:
        environ = environ_with_dotenv()
        options = Options(data=DEMO / "data", logs=DEMO / "logs", service=Service.from_environ(environ))
        terminal.heading("1  Starting storage (Azurite), the OpenAI service and the Functions host on this machine")
        started = ending.enter_context(Stack(options, environ=environ))
        stack, ready_s = started.running(), round(started.ready_s, 3)
        terminal.say(f"  all healthy after {ready_s:.1f} s, with a fresh state")
    terminal.pair("app", stack.app_url)
    terminal.pair("model", stack.model.state())
    require_model(stack)
    return stack, ready_s


def _index_samples(client: Client, news: News) -> list[Json]:
    """Upload the samples and wait until they are indexed; return the report's entries.

    Args:
        client: Of the running app.
        news: Gets each document with the seconds since its upload began, as soon as its status is final; at last None.
    """
    dropped_at_s: dict[str, float] = {}
    took_s: dict[str, float] = {}
    etags: dict[str, str] = {}

    def on_final(document: Json) -> None:
        took_s[document["path"]] = round(time.monotonic() - dropped_at_s[document["path"]], 3)
        news.put((document, took_s[document["path"]]))

    try:
        for name in DOCUMENTS:
            dropped_at_s[name] = time.monotonic()
            etags[name] = client.drop(SAMPLES / name, name)
        final = client.wait_indexed(etags, on_final=on_final)
    finally:
        news.put(None)
    status = {name: final[name]["status"] if name in final else "pending" for name in DOCUMENTS}
    return [{"path": name, "status": status[name], "drop_to_indexed_s": took_s.get(name)} for name in DOCUMENTS]


def _ask_questions(terminal: Terminal, client: Client) -> Iterator[Json]:
    """Ask all questions in one thread; yield the report's entries."""
    thread_id = None
    for number, question in enumerate(QUESTIONS):
        terminal.heading(f"{number + 3}  {'Asking' if number == 0 else 'Asking in the same thread'}")
        terminal.say(question, style="bold")
        accepted = client.ask(question, thread_id=thread_id)
        with terminal.watching() as watch:
            run = client.wait(accepted, on_look=watch.update)
        answered_s = time.monotonic() - accepted.asked_at_s
        terminal.answer(run, answered_s)
        thread_id = accepted.thread_id
        yield {
            "question": question,
            "run_id": run["id"],
            "thread_id": run["thread_id"],
            "status": run["status"],
            "answer": run["answer"],
            "citations": [{key: c[key] for key in ("document", "file_id", "quote")} for c in run["citations"]],
            "charts": [chart["path"] for chart in run["charts"]],
            "usage": run["usage"],
            "cost": run.get("cost"),
            "post_to_id_s": round(accepted.post_s, 3),
            "post_to_answer_s": round(answered_s, 3),
        }


def _missing_documents(documents: list[Json]) -> Iterator[str]:
    for document in documents:
        if document["status"] != "indexed":
            yield f"{document['path']} is {document['status']}, not indexed"


def _missing_answers(client: Client, questions: list[Json]) -> Iterator[str]:
    """Describe each answer, chart or citation that should exist and does not."""
    for number, question in enumerate(questions, start=1):
        run_id = question["run_id"]
        if question["status"] != "completed":
            yield f"run {number} ({run_id}) ended as {question['status']}"
        for name in ("answer.json", "answer.md"):
            if not client.read_answer_blob(f"{run_id}/{name}"):
                yield f"answers/{run_id}/{name} does not exist"
        for chart in question["charts"]:
            if not (client.read_answer_blob(chart) or b"").startswith(PNG):
                yield f"answers/{chart} is not a PNG picture"
    if CITED not in {citation["document"] for citation in questions[0]["citations"]}:
        yield f"the first answer does not cite {CITED}"
    if not questions[CHART_QUESTION]["charts"]:
        yield "the second answer has no chart"


def _copy_answer(client: Client, run_id: str, folder: Path) -> None:
    """Download all blobs of a run."""
    for name in client.answer_blobs(run_id):
        target = folder / name.removeprefix(f"{run_id}/")
        if target.resolve().is_relative_to(folder.resolve()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(client.read_answer_blob(name) or b"")


def _show_result(terminal: Terminal, missing: list[str], *, logs: Path) -> int:
    """Print where the copies are, and what is missing."""
    terminal.heading("Copies of what is now in Blob Storage")
    for path in sorted(path for path in (DEMO / "answers").rglob("*") if path.suffix in (".md", ".png")):
        terminal.pair("chart" if path.suffix == ".png" else "answer", shown(path))
    terminal.pair("report", shown(DEMO / "report.json"))
    terminal.say()
    if missing:
        terminal.error("The demo failed:" + "".join(f"\n  - {line}" for line in missing), f"Logs: {shown(logs)}")
        return 1
    terminal.next_step(
        f"`make up` keeps a stack running and has a page; `{COMMAND} add samples/*.pdf samples/*.csv samples/*.md` "
        f"gives it these documents, `{COMMAND} add PATH` your own."
    )
    return 0

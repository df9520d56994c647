"""The main job with a generated client: `python -m tests.openapi.main_job FOLDER URL PATH FORM KEY`.

FOLDER holds the package `generated`, made by openapi-python-client; URL is that of the API, ending in `/api`; PATH is
the document's; FORM says whether the requests name it in the URL or in the query (`?path=`); KEY is a function key,
which may be empty. It runs with the Python of `.local/openapi-tools`, which has what the generated code imports, and
prints what it saw as JSON.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import httpx

Json = dict[str, Any]

CONTENT = b"# Backup\n\nThe backup runs at 02:30 every night and takes 40 minutes.\n"
QUESTION = "When does the backup run?"
WITHIN_S = 300
POLL_EVERY_S = 0.1


class Api:
    """Calls the functions of the generated package; a call fails when the status is not a documented one."""

    def __init__(self, url: str, key: str) -> None:
        self.client = importlib.import_module("generated.client").Client(
            base_url=url,
            raise_on_unexpected_status=True,
            timeout=httpx.Timeout(60),
            headers={"x-functions-key": key} if key else {},
            httpx_args={"trust_env": False},
        )
        self.models = importlib.import_module("generated.models")
        self.types = importlib.import_module("generated.types")

    def __call__(self, operation: str, status: int, *path: str, **arguments: Any) -> Any:
        function = importlib.import_module(f"generated.api.{operation}").sync_detailed
        response = function(*path, client=self.client, **arguments)
        assert response.status_code == status, response
        return response.parsed

    def until(self, operation: str, done: Callable[[Any], bool], *path: str, **arguments: Any) -> Any:
        """Call until `done` is true for the answer."""
        function = importlib.import_module(f"generated.api.{operation}").sync
        deadline_s = time.monotonic() + WITHIN_S
        while not done(answer := function(*path, client=self.client, **arguments)):
            assert time.monotonic() < deadline_s, answer
            time.sleep(POLL_EVERY_S)
        return answer


def main_job(api: Api, path: str, form: str) -> Json:
    content = api.types.File(payload=BytesIO(CONTENT))
    if form == "query":
        uploaded = api("documents.put_document_by_path", 201, path=path, body=content)
    else:
        uploaded = api("documents.put_document", 201, path, body=content)
    assert (uploaded.path, uploaded.size_bytes) == (path, len(CONTENT))
    document = indexed(api, path, form)
    assert document.status == "indexed", document
    assert document.etag == uploaded.etag

    question = api.models.QuestionBody(question=QUESTION, collection=uploaded.collection)
    accepted = api("runs.start_run", 202, body=question)
    run = api.until("runs.get_run", lambda seen: isinstance(seen, api.models.RunEnded), accepted.id)
    listed = api("runs.list_runs", 200, thread_id=accepted.thread_id).runs
    found = api("search.search", 200, body=api.models.SearchBody(query=QUESTION, collection=uploaded.collection))

    if form == "query":
        assert api("documents.delete_folder", 202, path=path).deleting == path
    else:
        assert api("documents.delete_document", 202, path).deleting == path
    gone = api.until("documents.get_document", lambda seen: isinstance(seen, api.models.Problem), path)
    return {
        "run": run.to_dict(),
        "took_s": (run.finished_at - run.created_at).total_seconds(),
        "citations": [citation.document for citation in run.citations],
        "listed": [summary.id for summary in listed],
        "hits": [hit.document for hit in found.results],
        "gone": gone.code,
    }


def indexed(api: Api, path: str, form: str) -> Any:
    """The document, once its status is final."""

    def is_final(document: Any) -> bool:
        return document.status not in ("pending", "indexing")

    if form == "query":
        listed = api.until(
            "documents.list_documents",
            lambda page: bool(page.documents) and is_final(page.documents[0]),
            path=path,
        )
        return listed.documents[0]
    return api.until("documents.get_document", is_final, path)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    sys.stdout.write(json.dumps(main_job(Api(sys.argv[2], sys.argv[5]), sys.argv[3], sys.argv[4])))

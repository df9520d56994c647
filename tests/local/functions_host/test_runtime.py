"""Microsoft's own `azure-functions-runtime` loads function_app.py as it is and runs each of its functions once."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.openai_emulator.server import serve
from local.paths import ROOT
from local.stack.azurite import Azurite
from local.stack.provision import provision
from tests.local.functions_host.runtime_driver import DOCUMENTS

RUNTIME = ROOT / ".local" / "runtime"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
FUNCTIONS = [
    "advance_run",
    "cancel_run",
    "check_indexing",
    "create_thread",
    "create_upload",
    "deep_health",
    "delete_assistant",
    "delete_below",
    "delete_collection",
    "delete_document",
    "delete_run",
    "delete_thread",
    "fail_callback",
    "fail_document",
    "fail_indexing",
    "fail_removal",
    "fail_run",
    "get_assistant",
    "get_chart",
    "get_collection",
    "get_content",
    "get_events",
    "get_openapi",
    "get_page",
    "get_report",
    "get_run",
    "get_swagger",
    "get_text",
    "get_thread",
    "hand_in_outputs",
    "head_content",
    "health",
    "index_document",
    "list_assistants",
    "list_collections",
    "list_documents",
    "list_hooks",
    "list_messages",
    "list_receipts",
    "list_runs",
    "put_assistant",
    "put_collection",
    "put_document",
    "read_document",
    "reconcile",
    "reconcile_documents",
    "remove_document",
    "retry_document",
    "search",
    "send_callback",
    "service_event",
    "start_run",
    "subscribe",
    "sweep_documents",
    "sweep_runs",
    "unsubscribe",
]
OTHERS = {  # function -> status
    "cancel_run": 200,
    "create_thread": 201,
    "create_upload": 200,
    "deep_health": 200,
    "delete_assistant": 204,
    "delete_below": 400,  # it names no folder
    "delete_collection": 404,
    "delete_document": 202,
    "delete_run": 204,
    "delete_thread": 204,
    "get_assistant": 200,
    "get_collection": 200,
    "get_content": 200,
    "get_events": 501,
    "get_openapi": 200,
    "get_page": 200,
    "get_report": 202,
    "get_swagger": 200,
    "get_text": 404,  # the document is not indexed
    "get_thread": 200,
    "head_content": 200,
    "hand_in_outputs": 409,  # the run has ended
    "list_assistants": 200,
    "list_collections": 200,
    "list_hooks": 200,
    "list_messages": 200,
    "list_receipts": 200,
    "list_runs": 200,
    "put_assistant": 200,
    "put_collection": 200,
    "put_document": 201,
    "read_document": 200,
    "reconcile": 202,
    "retry_document": 202,
    "search": 200,
    "service_event": 400,  # it is not signed
    "subscribe": 201,
    "unsubscribe": 204,
}


@pytest.fixture
async def driven(tmp_path: Path, plain_environ: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    """The driver's report. The runtime keeps its state in modules, so the driver runs in another process."""
    if not (RUNTIME / "azure_functions_runtime").is_dir():
        pytest.fail("azure-functions-runtime is not in .local/runtime; `make test` installs it there.")
    with Azurite(log=tmp_path / "azurite.log") as azurite:
        provision(azurite.connection_string)
        async with serve() as url:
            environ = {
                **plain_environ,
                "AzureWebJobsStorage": azurite.connection_string,
                "OPENAI_BASE_URL": f"{url}/openai/v1/",
                "OPENAI_API_KEY": "local",
                "OPENAI_MODEL": "builtin",
                "OPENAI_WEBHOOK_SECRET": SECRET,
                "CALLBACK_SECRET": SECRET,
                "CALLBACK_HOSTS": "127.0.0.1",
                "CALLBACK_ALLOW_PRIVATE": "true",
                "PYTHONPATH": str(ROOT),
            }
            command = [sys.executable, "-m", "tests.local.functions_host.runtime_driver", str(RUNTIME), str(ROOT)]
            process = await asyncio.create_subprocess_exec(
                *command, cwd=tmp_path, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            try:
                async with asyncio.timeout(600):
                    out, err = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            assert process.returncode == 0, err.decode()[-4000:]
            yield json.loads(out)


async def test_the_runtime_indexes_and_runs_every_function(driven: dict[str, Any]) -> None:
    assert driven["functions"] == FUNCTIONS
    assert driven["health"] == [200, {"status": "ok", "version": driven["health"][1]["version"]}]

    status, listed = driven["list_documents"]
    assert status == 200
    assert {document["path"]: document["status"] for document in listed["documents"]} == dict.fromkeys(
        DOCUMENTS, "indexed"
    )

    status, headers, run = driven["start_run"]
    assert status == 202
    assert headers["location"] == f"https://app.example/api/runs/{run['id']}?code=key"
    assert int(headers["retry-after"]) >= 1

    status, answer = driven["get_run"]
    assert (status, answer["status"], answer["error"]) == (200, "completed", None)
    assert "15" in answer["answer"]
    assert answer["files"] == ["ops/100% ünïcödé.csv"]

    status, headers, opening = driven["get_chart"]
    assert (status, headers["content-type"], opening) == (200, "image/png", b"\x89PNG\r\n\x1a\n".hex())
    assert driven["others"] == OTHERS
    assert driven["after_removal"] == ["ops/100% ünïcödé.csv"]

"""A real Chromium with hostile pages: none reads or changes anything of the servers on this machine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from azure.storage.queue import QueueClient, QueueSasPermissions, generate_queue_sas

from local.functions_host import serving
from local.functions_host.storage import PUBLISHED_KEY
from local.openai_emulator.server import serve
from local.openai_emulator.settings import Settings
from local.stack.azurite import ACCOUNT, Azurite
from tests.local.browser.attacker import CHROMIUM, Attacker, attacking, visit
from tests.local.functions_host.apps import ADMIN, calls, client, host, unique, until, write_app
from tests.local.openai_emulator.client import ScriptedModel

APP = """
    @app.route(route="act", auth_level="ANONYMOUS")
    async def act(req: func.HttpRequest) -> str:
        calls.append(req.method)
        return "done"

    @app.queue_trigger(arg_name="msg", queue_name="QUEUE", connection="AzureWebJobsStorage")
    async def note(msg: func.QueueMessage) -> None:
        calls.append(msg.get_body().decode())
"""
TEXT, JSON = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
FORGED = json.dumps({"input": "forged"})
MESSAGE = "<QueueMessage><MessageText>Zm9yZ2Vk</MessageText></QueueMessage>"  # "forged" in base64


def sends(name: str, url: str, method: str = "GET", **options: Any) -> dict[str, Any]:
    return {"name": name, "url": url, "options": {"method": method, **options}}


def of_a_foreign_page(app: str, emulator: str, queue: str, control: str) -> list[dict[str, Any]]:
    """What a page of any site sends to 127.0.0.1. It cannot read an answer, but the request could act."""
    simple = {"mode": "no-cors", "headers": TEXT, "body": FORGED}
    return [
        sends("control", control, "POST", **simple),
        sends("admin", f"{app}/admin/functions/note", "POST", **simple),
        sends("admin as JSON", f"{app}/admin/functions/note", "POST", headers=JSON, body=FORGED),
        sends("act", f"{app}/api/act", "POST", **simple),
        sends("act without a body", f"{app}/api/act", "POST", mode="no-cors"),
        sends("act without a referrer", f"{app}/api/act", "POST", mode="no-cors", referrerPolicy="no-referrer"),
        sends("act by GET", f"{app}/api/act", mode="no-cors"),
        sends("act by DELETE", f"{app}/api/act", "DELETE"),
        sends("read", f"{app}/api/act"),
        sends("emulator", f"{emulator}/v1/vector_stores", "POST", **simple),
        sends("emulator with a key", f"{emulator}/v1/vector_stores", "POST", headers={"api-key": "x"}, body="{}"),
        sends("queue", queue, "POST", mode="no-cors", headers=TEXT, body=MESSAGE),
    ]


def of_a_rebound_page(host: str) -> list[dict[str, Any]]:
    """What a page sends to its own origin after its name leads to 127.0.0.1."""
    return [
        sends(f"{host} act", "/api/act", "POST", headers=JSON, body="{}"),
        sends(f"{host} admin", "/admin/functions/note", "POST", headers=JSON, body=FORGED),
        sends(f"{host} delete", "/api/act", "DELETE"),
        sends(f"{host} read", "/api/act"),
        sends(f"{host} emulator", "/v1/vector_stores", "POST", headers={**JSON, "api-key": "x"}, body="{}"),
        sends(f"{host} files", "/v1/files", headers={"api-key": "x"}),
    ]


def signed(azurite: Azurite, queue: str) -> tuple[str, str]:
    """Addresses signed with the key that every Azurite has by default: a queue's messages, a container's list."""
    times = {"account_key": PUBLISHED_KEY, "expiry": datetime.now(UTC) + timedelta(hours=1)}
    messages = generate_queue_sas(ACCOUNT, queue, permission=QueueSasPermissions(add=True), **times)
    listing = generate_container_sas(ACCOUNT, queue, permission=ContainerSasPermissions(list=True), **times)
    return f"{azurite.queue_endpoint}/{queue}/messages?{messages}", f"/{queue}?restype=container&comp=list&{listing}"


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH (Debian: apt install chromium)")
async def test_no_page_reads_or_changes_anything(azurite: Azurite, tmp_path: Path) -> None:
    name = unique("queue")
    folder = write_app(tmp_path / "app", APP.replace("QUEUE", name))
    with (
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
        QueueClient.from_connection_string(azurite.connection_string, name) as queue,
    ):
        blobs.create_container(name)
        queue.create_queue()
        async with (
            host(folder, azurite) as running,
            serving(running.asgi) as app,
            serve(Settings(), model=ScriptedModel()) as emulator,
            client(running) as own,
            httpx2.AsyncClient(base_url=emulator, headers={"api-key": "x"}) as service,
        ):
            with attacking(Attacker(pages := {})) as attacker:
                messages, listing = signed(azurite, name)
                rebound = [f"rebound.example:{urlsplit(url).port}" for url in (app, emulator)]
                storage = f"{ACCOUNT}.rebound.example:{azurite.ports[0]}"
                pages["evil.example"] = of_a_foreign_page(app, emulator, messages, attacker.control_url)
                pages |= {host: of_a_rebound_page(host) for host in rebound}
                pages[storage] = [sends("blobs", listing)]
                await visit(attacker)
            queue.send_message("b3du")
            assert (
                await own.post("/admin/functions/note", json={"input": "by hand"}, headers=ADMIN)
            ).status_code == 202
            await until(lambda: len(calls()) >= 2)
            assert sorted(calls()) == ["by hand", "own"]
            assert (await service.get("/v1/vector_stores")).json()["data"] == []
    assert attacker.control == [("POST", "text/plain", FORGED)]
    results = attacker.results
    readable = {"admin as JSON", "act by DELETE", "read", "emulator with a key"}
    assert {name for name, result in results.items() if result == "blocked"} == readable
    read = {name: result for name, result in results.items() if isinstance(result, int)}
    assert len(read) == 2 * len(of_a_rebound_page("")) + 1
    assert set(read.values()) == {403}, read

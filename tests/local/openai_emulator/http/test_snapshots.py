"""`/admin/reset` and `/admin/snapshots`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2
import openai
import pytest
from starlette.applications import Starlette

from local.openai_emulator.agent.conversation import Prompt
from local.openai_emulator.agent.model import Say
from local.paths import ROOT
from tests.local.openai_emulator.client import ScriptedModel, client_of, create, running_app, until

KEY = "key"


def admin(app: Starlette) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://emulator", headers={"api-key": KEY}, timeout=180
    )


async def names(app: Starlette) -> list[str]:
    async with client_of(app, api_key=KEY) as client:
        return sorted([file.filename async for file in client.files.list()])


async def add(app: Starlette, name: str) -> None:
    async with client_of(app, api_key=KEY) as client:
        await client.files.create(file=(name, b"Hello."), purpose="assistants")


async def test_data_are_put_back_as_they_were(tmp_path: Path) -> None:
    async with (
        running_app(data=tmp_path, api_key=KEY) as app,
        admin(app) as http,
        client_of(app, api_key=KEY) as client,
    ):
        file = await client.files.create(file=("a.txt", b"The fee is 40 EUR."), purpose="assistants")
        store = await client.vector_stores.create(file_ids=[file.id])
        await client.vector_stores.files.poll(file.id, vector_store_id=store.id)
        assert (await http.post("/admin/snapshots", json={"name": "one"})).status_code == 201
        await add(app, "b.txt")
        assert (await http.post("/admin/snapshots", json={"name": "two"})).status_code == 201
        assert (await http.post("/admin/reset")).status_code == 200
        assert await names(app) == []
        assert [one["name"] for one in (await http.get("/admin/snapshots")).json()["data"]] == ["one", "two"]

        assert (await http.post("/admin/snapshots/one/restore")).status_code == 200
        assert await names(app) == ["a.txt"]
        assert (await client.files.content(file.id)).text == "The fee is 40 EUR."
        found = await client.vector_stores.search(store.id, query="fee")
        assert [one.file_id for one in found.data] == [file.id]
        assert (await http.post("/admin/snapshots/two/restore")).status_code == 200
        assert await names(app) == ["a.txt", "b.txt"]
        assert (await http.delete("/admin/snapshots/one")).status_code == 200
        assert (await http.post("/admin/snapshots/one/restore")).status_code == 404
    async with running_app(data=tmp_path, api_key=KEY) as app:
        assert await names(app) == ["a.txt", "b.txt"]


async def test_data_in_memory_can_be_emptied_only() -> None:
    async with running_app(api_key=KEY) as app, admin(app) as http:
        await add(app, "a.txt")
        assert (await http.post("/admin/reset")).status_code == 200
        assert await names(app) == []
        answers = [await http.post("/admin/snapshots", json={"name": "one"}), await http.get("/admin/snapshots")]
        assert {(one.status_code, one.json()["error"]["code"]) for one in answers} == {(400, "no_data_folder")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_a_process_killed_at_any_step_leaves_the_old_data_or_the_new_ones(tmp_path: Path) -> None:
    code = "tests.local.openai_emulator.http.killed_exchange"
    done = subprocess.run([sys.executable, "-m", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert min(json.loads(done.stdout)) > 10, done.stdout


async def test_an_exchange_that_was_interrupted_is_finished_at_the_next_start(tmp_path: Path) -> None:
    async with running_app(data=tmp_path, api_key=KEY) as app, admin(app) as http:
        await add(app, "a.txt")
        assert (await http.post("/admin/snapshots", json={"name": "one"})).status_code == 201
        await add(app, "b.txt")
    shutil.copytree(tmp_path / "snapshots/one", tmp_path / ".incoming")
    async with running_app(data=tmp_path, api_key=KEY) as app:
        assert await names(app) == ["a.txt"]
    assert not [one.name for one in tmp_path.iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("name", ["", "..", "a/b", "x" * 65, ".one", None, 7])
async def test_a_name_is_no_path(tmp_path: Path, name: object) -> None:
    async with running_app(data=tmp_path, api_key=KEY) as app, admin(app) as http:
        assert (await http.post("/admin/snapshots", json={"name": name})).status_code == 400
        assert (await http.post(f"/admin/snapshots/{name or '..'}/restore")).status_code == 404
    assert not (tmp_path / "snapshots").exists()


async def test_only_the_administrator_may(tmp_path: Path) -> None:
    async with running_app(data=tmp_path) as app, admin(app) as http:
        assert (await http.post("/admin/reset")).status_code == 401


async def test_requests_in_work_end_first_and_new_ones_wait() -> None:
    go, model = asyncio.Event(), ScriptedModel()

    async def waits(_: Prompt) -> Say:
        await go.wait()
        return Say(text="At last.")

    async def seen() -> bool:
        return bool(model.prompts)

    model.moves = [waits]
    async with running_app(model, api_key=KEY) as app, admin(app) as http, client_of(app, api_key=KEY) as client:
        slow = asyncio.create_task(create(client))
        await until(seen)
        reset = asyncio.create_task(http.post("/admin/reset"))
        await asyncio.sleep(0)
        late = asyncio.create_task(names(app))
        go.set()
        response = await slow
        assert response.output_text == "At last."
        assert (await reset).status_code == 200
        assert await late == []
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(response.id)

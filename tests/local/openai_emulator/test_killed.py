"""`kill -9` during a stream, a batch, an upload and a run: after a restart nothing is half-made, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from local.openai_emulator.batches.batches import Batches
from local.paths import ROOT
from tests.local.openai_emulator.batches.test_batches import begin, ended, line, outputs
from tests.local.openai_emulator.client import ScriptedModel, client_of, running_app, until
from tests.local.openai_emulator.models.completions import Completions, running_completions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BEGUN = 'data: {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, '
BEGUN += '"delta": {"role": "assistant", "content": "The answer begins"}, "finish_reason": null}]}\n\n'


class Hanging(Completions):
    """Answers what says `hang` with the beginning of a stream, or not at all, until `calm` is set."""

    calm = False

    async def complete(self, request: Request) -> Response:
        text = str((await request.json())["messages"])
        if self.calm or "hang" not in text:
            self.say("Done.")
            return await super().complete(request)
        self.requests.append({"messages": text})
        return StreamingResponse(self._begun(), media_type="text/event-stream")

    async def _begun(self) -> AsyncIterator[str]:
        yield BEGUN
        await asyncio.Event().wait()


@asynccontextmanager
async def process(folder: Path, model_url: str) -> AsyncIterator[tuple[AsyncOpenAI, asyncio.subprocess.Process]]:
    """The emulator as a process, which is killed at the end."""
    environ = {**os.environ, "EMULATOR_DATA": str(folder), "EMULATOR_MODEL_URL": model_url, "EMULATOR_MODEL": "tiny"}
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.openai_emulator", "--port", "0"),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert running.stdout is not None
        ready = (await asyncio.wait_for(running.stdout.readline(), 180)).decode()
        async with AsyncOpenAI(api_key="x", base_url=f"{ready.split()[1]}/v1/", max_retries=0) as client:
            yield client, running
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGKILL)
        await running.wait()


async def half_an_upload(client: AsyncOpenAI, path: str, name: str) -> asyncio.StreamWriter:
    """A request whose second half never comes."""
    url = httpx2.URL(str(client.base_url))
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"POST {url.path}{path} HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer x\r\nContent-Length: 9000000\r\n"
    )
    writer.write(f"{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n".encode())
    writer.write(f'Content-Disposition: form-data; name="{name}"; filename="a.txt"\r\n\r\n'.encode() + b"x" * 3_000_000)
    await writer.drain()
    return writer


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
async def test_a_killed_process_leaves_nothing_half_made_and_loses_nothing(tmp_path: Path) -> None:
    model = Hanging()
    async with running_completions(model):
        async with process(tmp_path, model.url) as (client, running):
            stream: Any = await client.responses.create(model="m", input="hang", stream=True, background=True)
            seen: list[Any] = []
            async for event in stream:
                seen.append(event)
                if event.type == "response.output_text.delta" and len(seen) > 6:
                    break
            batch = await begin(client, line("a", "First?"), line("b", "hang"))

            async def one_is_done() -> bool:
                counts = (await client.batches.retrieve(batch.id)).request_counts
                return counts is not None and counts.completed == 1

            await until(one_is_done)
            upload = await client.uploads.create(
                bytes=8, filename="a.txt", mime_type="text/plain", purpose="assistants"
            )
            part = await client.uploads.parts.create(upload.id, data=("a", b"half"))
            halves = [await half_an_upload(client, f"uploads/{upload.id}/parts", "data")]
            halves.append(await half_an_upload(client, "files", "file"))
            assistant = await client.beta.assistants.create(model="m")
            thread = await client.beta.threads.create(messages=[{"role": "user", "content": "hang"}])
            run: Any = None
            async for event in await client.beta.threads.runs.create(thread.id, assistant_id=assistant.id, stream=True):
                run = event.data if event.event == "thread.run.created" else run
                if event.event == "thread.message.delta":
                    break
            running.send_signal(signal.SIGKILL)
            await running.wait()
            for half in halves:
                half.close()
            await stream.close()
        model.calm = True
        async with process(tmp_path, model.url) as (client, _):
            await check_stream(client, seen)
            batch = await ended(client, batch)
            assert [one["custom_id"] for one in await outputs(client, batch.output_file_id)] == ["a", "b"]
            assert len([one for one in model.requests if "First?" in str(one["messages"])]) == 1
            await check_upload(client, tmp_path, upload.id, part.id)
            await check_run(client, thread.id, run.id, assistant.id)


async def check_stream(client: AsyncOpenAI, seen: list[Any]) -> None:
    response_id = seen[0].response.id
    again: Any = await client.responses.retrieve(response_id, stream=True)
    events = [event async for event in again]
    assert [event.to_dict() for event in events[: len(seen)]] == [event.to_dict() for event in seen]
    assert events[-1].type == "response.failed"
    response = await client.responses.retrieve(response_id)
    assert (response.status, response.error and response.error.code) == ("failed", "server_error")
    rest: Any = await client.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number)
    assert [event.type async for event in rest][-1] == "response.failed"


async def check_upload(client: AsyncOpenAI, folder: Path, upload_id: str, part_id: str) -> None:
    listed = {file.id async for file in client.files.list()}
    assert {path.name for path in (folder / "files").iterdir()} == listed
    assert [path.name for path in (folder / "uploads").iterdir()] == [part_id]
    more = await client.uploads.parts.create(upload_id, data=("b", b"more"))
    done = await client.uploads.complete(upload_id, part_ids=[part_id, more.id])
    assert done.file is not None
    assert (await client.files.content(done.file.id)).text == "halfmore"


async def check_run(client: AsyncOpenAI, thread_id: str, run_id: str, assistant_id: str) -> None:
    run = await client.beta.threads.runs.retrieve(run_id, thread_id=thread_id)
    assert (run.status, run.last_error and run.last_error.code) == ("failed", "server_error")
    (message, _) = (await client.beta.threads.messages.list(thread_id)).data
    assert (message.status, message.incomplete_details and message.incomplete_details.reason) == (
        "incomplete",
        "run_failed",
    )
    assert message.content[0].text.value == "The answer begins"  # type: ignore[union-attr]
    run = await client.beta.threads.runs.create_and_poll(
        thread_id=thread_id, assistant_id=assistant_id, poll_interval_ms=20
    )
    assert run.status == "completed"


# ---- crashes between two steps -----------------------------------------------------------------------------------


class Crash(BaseException):
    pass


def crash(*_: Any, **__: Any) -> None:
    raise Crash


async def test_a_crash_while_an_upload_is_completed_makes_no_second_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(data=tmp_path) as app, client_of(app) as client:
        upload = await client.uploads.create(bytes=4, filename="a.txt", mime_type="text/plain", purpose="assistants")
        part = await client.uploads.parts.create(upload.id, data=("a", b"half"))
        with monkeypatch.context() as patch:
            patch.setattr("local.openai_emulator.uploads.uploads.Uploads._record_end", crash)
            with pytest.raises(Crash):
                await client.uploads.complete(upload.id, part_ids=[part.id])
    async with running_app(data=tmp_path) as app, client_of(app) as client:
        assert [file async for file in client.files.list()] == []
        assert list((tmp_path / "files").iterdir()) == []
        assert (await client.uploads.complete(upload.id, part_ids=[part.id])).status == "completed"
        assert len([file async for file in client.files.list()]) == 1


async def test_a_crash_while_a_batch_ends_asks_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, change, crashed = ScriptedModel(), Batches._change, asyncio.Event()

    def crash_at_the_end(self: Batches, batch_id: str, **fields: Any) -> Any:
        if fields.get("status") == "completed":
            crashed.set()
            raise RuntimeError("crash")
        return change(self, batch_id, **fields)

    async with running_app(model, data=tmp_path) as app, client_of(app) as client:
        with monkeypatch.context() as patch:
            patch.setattr(Batches, "_change", crash_at_the_end)
            batch = await begin(client, line("a"), line("b"))
            await asyncio.wait_for(crashed.wait(), 180)
    async with running_app(model, data=tmp_path) as app, client_of(app) as client:
        batch = await ended(client, batch)
        assert [one["custom_id"] for one in await outputs(client, batch.output_file_id)] == ["a", "b"]
        assert len([file async for file in client.files.list(purpose="batch_output")]) == 1
    assert len(model.prompts) == 2
    assert list((tmp_path / "batches").iterdir()) == []

"""Blob triggers with source LogsAndContainerScan, blob parameters and blob outputs, against the real Azurite."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path

import pytest
from azure.storage.blob import BlobBlock
from azure.storage.blob.aio import BlobServiceClient, ContainerClient
from azure.storage.queue.aio import QueueServiceClient

from local.functions_host import Host
from local.functions_host.functions.paths import PathPattern, fill
from local.functions_host.settings import blob_options
from local.stack.azurite import Azurite
from tests.local.functions_host.apps import ADMIN, calls, client, host, unique, until, write_app

NOTE = """
    @app.blob_trigger(arg_name="blob", path="%CONTAINER%/{name}", connection="AzureWebJobsStorage")
    async def note(blob: func.InputStream) -> None:
        calls.append((blob.name, blob.read()))
"""
POISON = "webjobs-blobtrigger-poison"


def blob_host(tmp_path: Path, azurite: Azurite, container: str, source: str = NOTE, **options: object) -> Host:
    """A host with a blob trigger for a container; the same `host_id` in options restarts a host."""
    environ = {"CONTAINER": container, "OTHER": f"{container}-out"}
    if host_id := options.pop("host_id", None):
        environ["AzureFunctionsWebHost__hostid"] = str(host_id)
    return host(write_app(tmp_path / "app", source), azurite, environ, **options)


@pytest.mark.parametrize(
    ("pattern", "blob", "expected"),
    [
        ("docs/{name}", "docs/a/b.txt", {"name": "a/b.txt"}),
        ("docs/{name}.{type}", "docs/a.b.txt", {"name": "a.b", "type": "txt"}),
        ("docs/in/{name}", "docs/out/a", None),
        ("docs/{name}", "docs-old/a", None),
        ("{container}/{name}", "any/a", {"container": "any", "name": "a"}),
        ("docs", "docs/a", {}),
        ("docs/a.txt", "docs/axtxt", None),
    ],
)
def test_a_path_pattern_matches(pattern: str, blob: str, expected: dict[str, str] | None) -> None:
    assert PathPattern(pattern).match(blob) == expected


def test_parameters_of_a_path_are_replaced_by_values() -> None:
    assert fill("out/{Name}.json", {"name": "a/b"}) == "out/a/b.json"
    assert len(fill("out/{rand-guid}", {})) == len("out/") + 36
    with pytest.raises(ValueError, match="missing"):
        fill("out/{missing}", {})


async def test_a_new_blob_runs_the_function_with_its_properties(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    source = """
        @app.blob_trigger(arg_name="blob", path="%CONTAINER%/{name}", connection="AzureWebJobsStorage")
        def note(blob: func.InputStream) -> None:
            calls.append((blob.name, blob.read(), blob.length, blob.uri, blob.metadata, blob.blob_properties))
    """
    async with blob_host(tmp_path, azurite, container.container_name, source, list_every_s=600):
        made = container.get_blob_client("a b/ü.txt")
        await made.upload_blob(b"content", metadata={"colour": "red"})
        [(name, content, length, uri, metadata, properties)] = await until(calls)
        etag = (await made.get_blob_properties()).etag
    assert (name, content, length) == (f"{container.container_name}/a b/ü.txt", b"content", 7)
    assert (uri, metadata) == (made.url, {"colour": "red"})
    assert properties["ETag"] == etag


@pytest.mark.parametrize(("data_type", "expected"), [("BINARY", b"content"), ("STRING", "content")])
async def test_the_data_type_decides_between_text_and_bytes(
    azurite: Azurite, container: ContainerClient, tmp_path: Path, data_type: str, expected: object
) -> None:
    """The annotation converts nothing: the worker passes on the host's data."""
    source = f"""
        @app.blob_trigger(arg_name="blob", path="%CONTAINER%/{{name}}", connection="AzureWebJobsStorage",
                          data_type=func.DataType.{data_type})
        def note(blob: str) -> None:
            calls.append(blob)
    """
    async with blob_host(tmp_path, azurite, container.container_name, source):
        await container.upload_blob("a.txt", b"content")
        assert await until(calls) == [expected]


async def test_an_sdk_type_gets_a_client_and_no_content(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    source = """
        import azurefunctions.extensions.bindings.blob as bindings

        @app.blob_trigger(arg_name="blob", path="%CONTAINER%/{name}", connection="AzureWebJobsStorage")
        def note(blob: bindings.BlobClient) -> None:
            with blob:
                calls.append((blob.container_name, blob.blob_name, blob.download_blob().readall()))
    """
    async with blob_host(tmp_path, azurite, container.container_name, source):
        await container.upload_blob("folder/a.txt", b"content")
        assert await until(calls) == [(container.container_name, "folder/a.txt", b"content")]


async def test_every_kind_of_write_is_seen(azurite: Azurite, container: ContainerClient, tmp_path: Path) -> None:
    """Put Blob, Put Block List and Copy Blob are found in the log; the next container scan is hours away."""
    async with blob_host(tmp_path, azurite, container.container_name, list_every_s=36000):
        await asyncio.sleep(0.1)  # after the first container scan
        blocks = container.get_blob_client("blocks")
        await blocks.stage_block("aaaa", b"content")
        await blocks.commit_block_list([BlobBlock("aaaa")])
        await container.get_blob_client("copy").start_copy_from_url(blocks.url)
        await container.upload_blob("plain", b"content")
        await until(lambda: len(calls()) == 3)
        name = container.container_name
        assert sorted(calls()) == [(f"{name}/{blob}", b"content") for blob in ("blocks", "copy", "plain")]


async def test_a_version_runs_once_and_receipts_survive_a_restart(
    azurite: Azurite, blob_service: BlobServiceClient, container: ContainerClient, tmp_path: Path
) -> None:
    """The first start runs existing blobs; the second start only blobs that changed in the meantime."""
    host_id, name = unique("host"), container.container_name
    await container.upload_blob("old", b"1")
    async with blob_host(tmp_path, azurite, name, host_id=host_id):
        assert await until(calls) == [(f"{name}/old", b"1")]
        await until(lambda: receipts(blob_service, host_id, 1))
    await container.upload_blob("old", b"2", overwrite=True)
    await container.upload_blob("new", b"3")
    async with blob_host(tmp_path, azurite, name, host_id=host_id, list_every_s=0.1):
        await until(lambda: len(calls()) == 2)
        await until(lambda: receipts(blob_service, host_id, 3))
        assert sorted(calls()) == [(f"{name}/new", b"3"), (f"{name}/old", b"2")]
    [receipt] = [found for found in await receipts(blob_service, host_id, 3) if found.endswith("/new")]
    etag = (await container.get_blob_client("new").get_blob_properties()).etag
    assert receipt == f"blobreceipts/{host_id}/Host.Functions.note/{etag}/{name}/new"


async def receipts(blob_service: BlobServiceClient, host_id: str, count: int) -> list[str]:
    """The receipts of a host, as soon as there are `count`."""
    hosts = blob_service.get_container_client("azure-webjobs-hosts")
    if not await hosts.exists():
        return []
    names = [name async for name in hosts.list_blob_names(name_starts_with=f"blobreceipts/{host_id}/")]
    return names if len(names) == count else []


async def test_the_container_scan_finds_blobs_that_are_not_in_the_log(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    async with blob_host(tmp_path, azurite, container.container_name, access_log=None, list_every_s=0.1):
        await container.upload_blob("a", b"1")
        await until(calls)


async def test_a_container_that_is_created_later_is_scanned(
    azurite: Azurite, blob_service: BlobServiceClient, tmp_path: Path
) -> None:
    name = unique("container")
    async with blob_host(tmp_path, azurite, name):
        container = await blob_service.create_container(name)
        await container.upload_blob("a", b"1")
        assert await until(calls) == [(f"{name}/a", b"1")]


async def test_a_blob_that_does_not_match_does_not_run_the_function(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    source = NOTE.replace("{name}", "in/{name}.txt")
    async with blob_host(tmp_path, azurite, container.container_name, source):
        await container.upload_blob("in/a.pdf", b"1")
        await container.upload_blob("a.txt", b"1")
        await container.upload_blob("in/b/c.txt", b"1")
        await until(calls)
        assert calls() == [(f"{container.container_name}/in/b/c.txt", b"1")]


async def test_a_failing_blob_is_tried_five_times_at_once_and_then_poisoned(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    """The settings of queues do not hold for blobs. The poison message is the real host's, byte for byte."""
    source = """
        @app.blob_trigger(arg_name="blob", path="%CONTAINER%/{name}", connection="AzureWebJobsStorage")
        def bad(blob: func.InputStream) -> None:
            calls.append(1)
            raise RuntimeError("always")
    """
    queues_json = {"visibilityTimeout": "01:00:00", "maxDequeueCount": 2}
    folder = write_app(tmp_path / "app", source, host_json={"extensions": {"queues": queues_json}})
    environ = {"CONTAINER": container.container_name}
    async with (
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
        host(folder, azurite, environ, list_every_s=0.1),
    ):
        await container.upload_blob("ä.txt", b"1")
        etag = (await container.get_blob_client("ä.txt").get_blob_properties()).etag
        message = await until(lambda: poison_of(queues, container.container_name))
        await asyncio.sleep(0.3)  # two more scans do not run it again
        assert len(calls()) == 5
    quoted = etag.strip('"')
    assert message == (
        '{\n  "Type": "BlobTrigger",\n  "FunctionId": "Host.Functions.bad",\n  "BlobType": "BlockBlob",\n'
        f'  "ContainerName": "{container.container_name}",\n  "BlobName": "ä.txt",\n  "ETag": "\\"{quoted}\\""\n}}'
    )


def test_the_blob_triggers_have_options_of_their_own() -> None:
    """Eight blobs for each core at once, five tries, no wait between them."""
    options = blob_options({})
    assert options.batch_size + options.new_batch_threshold == 8 * (os.cpu_count() or 1)
    assert (options.max_dequeue_count, options.retry_delay_s) == (5, 0)
    one = blob_options({"maxDegreeOfParallelism": 1, "poisonBlobThreshold": 2})
    assert (one.batch_size, one.new_batch_threshold, one.max_dequeue_count) == (1, 0, 2)


async def poison_of(queues: QueueServiceClient, container: str) -> str | None:
    """The poison message of a blob in a container, as soon as there is one."""
    if POISON not in [found.name async for found in queues.list_queues()]:
        return None
    messages = await queues.get_queue_client(POISON).peek_messages(max_messages=32)
    texts = [message.content for message in messages if not message.content.startswith("{")]  # other hosts send JSON
    contents = [base64.b64decode(text).decode() for text in texts]
    return next((content for content in contents if json.loads(content)["ContainerName"] == container), None)


async def test_blob_inputs_and_outputs_take_their_paths_from_the_trigger(
    azurite: Azurite, blob_service: BlobServiceClient, container: ContainerClient, tmp_path: Path
) -> None:
    """An output creates its container; a missing input is None."""
    source = """
        @app.route(route="copy/{from}/{to}", auth_level="ANONYMOUS")
        @app.blob_input(arg_name="source", path="%CONTAINER%/{from}", connection="AzureWebJobsStorage")
        @app.blob_output(arg_name="target", path="%OTHER%/{to}", connection="AzureWebJobsStorage")
        def copy(req: func.HttpRequest, source: bytes, target: func.Out[bytes]) -> str:
            if source is None:
                return "nothing"
            target.set(source.upper())
            return "copied"
    """
    await container.upload_blob("a", b"text")
    async with blob_host(tmp_path, azurite, container.container_name, source) as running, client(running) as http:
        assert (await http.get("/api/copy/a/b")).text == "copied"
        assert (await http.get("/api/copy/missing/b")).text == "nothing"
    out = blob_service.get_blob_client(f"{container.container_name}-out", "b")
    assert await (await out.download_blob()).readall() == b"TEXT"


async def test_the_admin_endpoint_runs_a_blob_function_for_a_path(
    azurite: Azurite, container: ContainerClient, tmp_path: Path
) -> None:
    async with blob_host(tmp_path, azurite, container.container_name) as running, client(running) as http:
        await container.upload_blob("a", b"1")
        await until(calls)
        path = f"{container.container_name}/a"
        assert (await http.post("/admin/functions/note", json={"input": path}, headers=ADMIN)).status_code == 202
        await until(lambda: calls() == [(path, b"1")] * 2)
        assert (await http.post("/admin/functions/note", json={"input": "no path"}, headers=ADMIN)).status_code == 202

"""Names that XML cannot carry, as storage in Azure lists them: percent-encoded. Azurite cannot list them at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from azure.storage.blob.aio import ContainerClient

from shared.errors import ListingFailed
from shared.formats.filetypes import bad_path
from shared.storage.blobs import RETRIES, AzureBlobs

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
NAMES = ["a\uffffb.md", "b\x1b[2J.md", "c%25.md", "d & e.md", "Größe.md"]
PROPERTIES = (
    "<Properties><Last-Modified>Thu, 26 Nov 2026 00:36:16 GMT</Last-Modified><Etag>0x1</Etag>"
    "<Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties>"
)
ELEMENTS = [
    '<Name Encoded="true">a%EF%BF%BFb.md</Name>',
    '<Name Encoded="true">b%1B%5B2J.md</Name>',
    "<Name>c%25.md</Name>",
    "<Name>d &amp; e.md</Name>",
    "<Name>Größe.md</Name>",
]
LISTING = (
    '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="documents">'
    f"<Blobs>{''.join(f'<Blob>{name}{PROPERTIES}</Blob>' for name in ELEMENTS)}</Blobs><NextMarker />"
    "</EnumerationResults>"
)


class Storage(BaseHTTPRequestHandler):
    status = 200
    asked = 0

    def do_GET(self) -> None:
        body = LISTING.encode() if self.status == 200 else b"Internal Server Error"
        type(self).asked += 1
        self.send_response(self.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Failing(Storage):
    """As Azurite, for a name that it cannot write."""

    status = 500


@pytest.fixture
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), getattr(request, "param", Storage)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/account"
        server.shutdown()
        thread.join()


async def test_every_listing_has_the_names_themselves(endpoint: str) -> None:
    credential = {"account_name": "account", "account_key": KEY}
    async with ContainerClient(endpoint, "documents", credential=credential, use_env_settings=False) as container:
        blobs = AzureBlobs(container)
        assert [name async for name in blobs.list_names()] == NAMES
        assert [info.name async for info in blobs.list()] == NAMES
        page, _ = await blobs.page("", limit=10, cursor=None)
        assert [info.name for info in page] == NAMES
    assert [name for name in NAMES if bad_path(name)] == NAMES[:2]


@pytest.mark.parametrize("endpoint", [Failing], indirect=True)
async def test_a_listing_that_fails_is_repeated_a_few_times_only(endpoint: str) -> None:
    """A caller waits for it."""
    Failing.asked = 0
    account = {"account_name": "account", "account_key": KEY}
    waits = {"initial_backoff": 0, "increment_base": 0, "random_jitter_range": 0}
    async with ContainerClient(
        endpoint, "documents", credential=account, use_env_settings=False, **(RETRIES | waits)
    ) as container:
        with pytest.raises(ListingFailed):
            await AzureBlobs(container).page("", limit=10, cursor=None)
    assert Failing.asked == 1 + RETRIES["retry_total"] <= 3

"""Names that XML cannot carry, as storage in Azure lists them: percent-encoded. Azurite cannot list them at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from azure.storage.blob.aio import ContainerClient

from shared.formats.filetypes import bad_path
from shared.storage.blobs import AzureBlobs

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
    def do_GET(self) -> None:
        body = LISTING.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Storage) as server:
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

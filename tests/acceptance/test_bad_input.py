"""Invalid requests get an error with a stable code, unusable documents a status and reason. Others are unaffected."""

import io
import json
import zipfile
from collections.abc import Callable

import httpx2
import pytest
from fpdf import FPDF

from local.client import Client
from local.stack.stack import Stack
from tests.acceptance import storage
from tests.acceptance.host import Host

Drop = Callable[[dict[str, bytes]], dict[str, storage.Json]]

NO_RUN = "run_" + "0" * 24
NO_THREAD = "thread_" + "0" * 24


def post(host: Host, content: bytes, media_type: str = "application/json") -> httpx2.Response:
    return host.request("POST", "runs", content=content, Content_Type=media_type)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"question": ""}, 400, "empty_question"),
        ({"question": "   "}, 400, "empty_question"),
        ({"question": "x" * 8_001}, 400, "question_too_long"),
        ({"question": "x" * 70_000}, 413, "body_too_large"),
        ({}, 400, "invalid_body"),
        ({"question": 5}, 400, "invalid_body"),
        ({"question": "Hi", "colection": "x"}, 400, "invalid_body"),
        ({"question": "Hi", "thread_id": NO_THREAD}, 404, "thread_not_found"),
        ({"question": "Hi", "thread_id": "../runs/run_1"}, 404, "thread_not_found"),
        ({"question": "Hi", "collection": "never-made"}, 404, "collection_not_found"),
        ({"question": "Hi", "collection": "a/b"}, 400, "invalid_collection"),
        ({"question": "Hi", "files": ["no/such.csv"]}, 404, "file_not_found"),
        ({"question": "Hi", "files": ["../state/runs/x"]}, 400, "invalid_file"),
        ({"question": "Hi", "metadata": {"k": "v" * 513}}, 400, "invalid_metadata"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_invalid_question_gets_a_stable_error_code(host: Host, body: object, status: int, code: str) -> None:
    response = post(host, json.dumps(body).encode())
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert response.headers["content-type"].startswith("application/problem+json")
    assert problem["status"] == status
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize("body", [b"", b"{", b"[]x", b'{"question": "\xff"}', b"null"])
def test_malformed_json_is_rejected(host: Host, body: bytes) -> None:
    response = post(host, body)
    assert response.status_code == 400
    assert response.json()["code"] in ("malformed_json", "invalid_body")


def test_another_content_type_is_rejected(host: Host) -> None:
    response = post(host, b"question=Hi", "application/x-www-form-urlencoded")
    assert (response.status_code, response.json()["code"]) == (415, "wrong_media_type")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"runs/{NO_RUN}", "run_not_found"),
        ("runs/run_1", "run_not_found"),
        ("runs/..%2Fthreads", "run_not_found"),
        (f"runs/{NO_RUN}/charts/1", "run_not_found"),
    ],
)
def test_an_unknown_run_is_404(host: Host, path: str, code: str) -> None:
    response = host.request("GET", path)
    assert (response.status_code, response.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "documents", 200, "documents"),
        ("GET", "documents/", 200, "documents"),
        ("POST", "documents/reconcile?dry_run=true", 202, "rec_"),
        ("DELETE", "documents", 400, "invalid_prefix"),
        ("GET", "documents/reconcile", 404, "document_not_found"),
        ("GET", "documents/no%2Fsuch.md", 404, "document_not_found"),
        ("DELETE", "documents/no/such.md", 404, "document_not_found"),
        ("POST", "documents/no/such.md", 404, "document_not_found"),
        ("POST", "documents", 400, "invalid_path"),
        ("PUT", "documents", 400, "invalid_path"),
        ("PUT", "documents/a%2F%2E%2E%2Fb.md", 400, "invalid_path"),  # the host itself resolves plain dot segments
        ("DELETE", "documents/folder/", 400, "invalid_path"),
        ("DELETE", "documents?prefix=folder", 400, "invalid_prefix"),
        ("GET", "documents?cursor=AAA", 400, "invalid_cursor"),
        ("GET", "reports/rec_1", 404, "report_not_found"),
        ("GET", "collections/no-such", 404, "collection_not_found"),
        ("DELETE", "collections/no-such", 404, "collection_not_found"),
    ],
)
def test_each_documents_route_is_reached(host: Host, method: str, path: str, status: int, text: str) -> None:
    """The route templates overlap: the host takes the first match in the order of the functions' names."""
    response = host.request(method, path)
    assert response.status_code == status, response.text
    assert text in response.text


def test_an_unknown_chart_is_404(host: Host, client: Client) -> None:
    run = client.wait(client.ask("Is there a chart?"), on_look=lambda _: None)
    response = host.request("GET", f"runs/{run['id']}/charts/7")
    assert (response.status_code, response.json()["code"]) == (404, "chart_not_found")


def encrypted_pdf() -> bytes:
    pdf = FPDF()
    pdf.set_encryption(owner_password="owner", user_password="user")
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    pdf.cell(text="Nobody can read this.")
    return bytes(pdf.output())


def docx_without_parts() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return buffer.getvalue()


def test_unusable_documents_have_a_reason_and_do_not_affect_others(client: Client, collection: str, drop: Drop) -> None:
    bad = {
        "corrupt.pdf": (b"%PDF-1.7\nnot a PDF", "failed", "damaged"),
        "locked.pdf": (encrypted_pdf(), "failed", "encrypted"),
        "empty.txt": (b"", "failed", "empty_file"),
        "blank.txt": (b" \n\t\n", "failed", "empty_file"),
        "broken.docx": (docx_without_parts(), "unsupported", "unsupported_file"),
        "photo.png": (b"\x89PNG\r\n\x1a\n0000", "unsupported", "unsupported_file"),
        "archive.zip": (b"PK\x05\x06" + b"\0" * 18, "unsupported", "unsupported_file"),
        "no-ending": (b"\x7fELF\x02\x01" + bytes(range(256)), "unsupported", "unsupported_file"),
        "binary.csv": (b"\0\1\2\3" * 100, "unsupported", "binary_content"),
        "broken.xlsx": (b"PK\x03\x04 not a workbook", "failed", "damaged"),
    }
    good = {f"{collection}/good.txt": b"The fire drill is on the first Tuesday of March."}
    documents = drop({f"{collection}/{name}": content for name, (content, _, _) in bad.items()} | good)
    for name, (_, status, code) in bad.items():
        document = documents[f"{collection}/{name}"]
        assert (document["status"], document["reason"]["code"]) == (status, code), document
        assert document["reason"]["message"].rstrip().endswith((".", ")")), document
    assert documents[f"{collection}/good.txt"]["status"] == "indexed"
    run = client.wait(client.ask("When is the fire drill?", collection=collection), on_look=lambda _: None)
    assert "first Tuesday of March" in run["answer"]


def test_a_run_cannot_use_a_failed_file(host: Host, collection: str, drop: Drop) -> None:
    drop({f"{collection}/bad.xlsx": b"PK\x03\x04 not a workbook"})
    body = json.dumps({"question": "Sum it up", "files": [f"{collection}/bad.xlsx"]}).encode()
    response = post(host, body)
    assert (response.status_code, response.json()["code"]) == (409, "file_not_ready")


def test_a_thread_answers_one_question_at_a_time(slow_client: Client, slow_stack: Stack) -> None:
    accepted = slow_client.ask("What comes first?")
    body = json.dumps({"question": "And second?", "thread_id": accepted.thread_id}).encode()
    response = post(Host(url=slow_stack.app_url), body)
    assert (response.status_code, response.json()["code"]) == (409, "thread_busy")
    assert accepted.id in response.json()["detail"]

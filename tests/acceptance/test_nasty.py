"""Damaged and malicious files, all at once: each gets the right status, and good files among them are indexed."""

import pytest

from local.client import Client
from tests.nasty import WORDS, nasty_files

pytestmark = pytest.mark.long


def test_each_nasty_file_gets_the_right_status(client: Client, collection: str) -> None:
    files = {f"{collection}/{file.name}": file for file in nasty_files(line_bytes=200_000)}
    good = f"{collection}/good.md"
    etags = {path: client.drop_bytes(file.content, path) for path, file in files.items()}
    etags[good] = client.drop_bytes(b"The lift is repaired on Friday.", good)
    final = client.wait_indexed(etags, on_final=lambda _: None)
    assert final.keys() == etags.keys()
    for path, file in files.items():
        document = final[path]
        reason = document["reason"]
        assert (document["status"], reason and reason["code"]) == (file.status, file.code), document
        assert reason is None or reason["message"].rstrip().endswith((".", ")")), document
    assert final[good]["status"] == "indexed"
    assert final[f"{collection}/a-pdf.docx"]["notice"]["code"] == "type_mismatch"
    run = client.wait(client.ask("When is the lift repaired?", collection=collection, files=[]), on_look=lambda _: None)
    assert "Friday" in run["answer"]
    run = client.wait(client.ask("When is the fire drill?", collection=collection, files=[]), on_look=lambda _: None)
    assert WORDS.strip() in run["answer"] or "first Tuesday of March" in run["answer"]

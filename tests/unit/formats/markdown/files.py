"""Small documents of the kinds that the app turns into Markdown."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage

OFFICE = "urn:oasis:names:tc:opendocument:xmlns"
NAMES = " ".join(
    f'xmlns:{short}="{OFFICE}:{name}:1.0"'
    for short, name in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
        ("style", "style"),
        ("presentation", "presentation"),
    )
)


def packed(mimetype: str, **parts: str | bytes) -> bytes:
    """A zip; `__` in a name stands for `/`, `_xml` for its ending."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", mimetype)
        for name, content in parts.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml").replace("_xhtml", ".xhtml"), content)
    return file.getvalue()


def open_document(kind: str, body: str, **parts: str) -> bytes:
    xml = f"<office:document-content {NAMES}><office:body>{body}</office:body></office:document-content>"
    parts = {"META-INF__manifest_xml": "<manifest/>", **parts}
    return packed(f"application/vnd.oasis.opendocument.{kind}", content_xml=xml, **parts)


def odt() -> bytes:
    deleted = "<text:tracked-changes><text:p>Old secret.</text:p></text:tracked-changes>"
    note = "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>In net terms.</text:p>"
    comment = "<office:annotation><text:p>Ask Ben.</text:p></office:annotation>"
    table = (
        "<table:table><table:table-row><table:table-cell><text:p>Flat</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="1000000"><text:p>Rent</text:p></table:table-cell>'
        "</table:table-row></table:table>"
    )
    body = (
        f"<office:text>{deleted}<text:p>Before.</text:p><text:h text:outline-level='2'>Rent</text:h>"
        f"<text:p>Due<text:s text:c='2'/>on the third.{note}</text:note-body></text:note>{comment}</text:p>"
        f"<text:list><text:list-item><text:p>Keys</text:p></text:list-item></text:list>{table}</office:text>"
    )
    styles = (
        f"<office:document-styles {NAMES}><style:master-page><style:header><text:p>Draft of May</text:p></style:header>"
        "</style:master-page></office:document-styles>"
    )
    return open_document("text", body, styles_xml=styles)


def odp() -> bytes:
    pages = "".join(
        f"<draw:page><draw:frame><draw:text-box><text:p>{title}</text:p></draw:text-box></draw:frame>"
        f"<presentation:notes><text:p>Say more of the {title.lower()}.</text:p></presentation:notes></draw:page>"
        for title in ("Plan", "Budget")
    )
    return open_document("presentation", f"<office:presentation>{pages}</office:presentation>")


def epub(**parts: str) -> bytes:
    container = '<container><rootfiles><rootfile full-path="b/book.opf"/></rootfiles></container>'
    package = (
        "<package><metadata><title>The Lake</title><creator>Nora Quist</creator></metadata><manifest>"
        '<item id="2" href="second%20one.xhtml" media-type="application/xhtml+xml"/>'
        '<item id="1" href="first.xhtml" media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="1"/><itemref idref="2"/></spine></package>'
    )
    first = "<html><head><title/></head><body><h1>Ice</h1><p>It froze in <b>March</b>.</p></body></html>"
    second = "<html><body><h1>Thaw</h1><p hidden=''>Secret.</p><p>The boats came back.</p></body></html>"
    return packed(
        "application/epub+zip",
        **{"META-INF__container_xml": container, "b__book.opf": package, "b__first_xhtml": first},
        **{"b__second one_xhtml": second, **parts},
    )


def mail(*, attached: bool = True, inner: EmailMessage | None = None) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Nora Quist <nora@example.com>"
    message["To"] = "ops@example.com"
    message["Subject"] = "Umzug – neue Adresse"
    message["Date"] = "Mon, 03 Mar 2025 09:15:00 +0100"
    message.set_content("The head office moves to Seestraße 14.\n# 2 keys\n", cte="quoted-printable")
    message.add_alternative("<p>The head office moves to <b>Seestraße 14</b>.</p>", subtype="html", cte="base64")
    if attached:
        message.add_attachment(b"box,team\n1,ops\n", maintype="text", subtype="csv", filename="boxes – März.csv")
    if inner:
        message.add_attachment(inner)
    return message


NOTEBOOK = rb"""{"nbformat": 4, "metadata": {"language_info": {"name": "python"}}, "cells": [
 {"cell_type": "markdown", "source": ["# Tides\n", "Measured hourly."]},
 {"cell_type": "code", "source": "print(a)", "outputs": [
  {"output_type": "stream", "text": ["high: 4.2 m\n"]},
  {"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": ["<Figure>"]}},
  {"output_type": "error", "traceback": ["\u001b[31mValueError\u001b[0m: low"]}]}]}"""

VTT = """WEBVTT

NOTE not said

STYLE
::cue { color: red }

intro
00:00:01.000 --> 00:00:04.000 align:start
<v Ana>The <i>ferry</i> &amp; the bus
are late.

00:00:05.000 --> 00:00:06.000
are late.

01:02:03.500 --> 01:02:06.000
<v Ben>It sails at nine.
"""

SRT = """1\r
00:00:01,000 --> 00:00:04,000\r
Слишком поздно для парома.\r
\r
2\r
00:01:00,000 --> 00:01:02,000\r
{\\an8}Да.\r
"""

RTF = (
    rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\header Draft of May}\f0 The rent is 840 \'80.\par "
    rb"Gr\u252?\'dfe \u-10179?\u-8704?{\footnote In net terms.}\par}"
)

"""Mails (EML, and MHT, which is a mail that holds a page): headers, decoded body, forwarded mails, list of attachments.

Source: https://www.rfc-editor.org/rfc/rfc2045 and https://www.rfc-editor.org/rfc/rfc5322
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_binary_file, policy
from email.header import decode_header, make_header
from email.message import Message
from typing import IO

from shared.formats.markdown.base import Converted, escaped, sections, tidy
from shared.formats.markdown.html import html_markdown

HEADERS = ("From", "Sender", "To", "Cc", "Bcc", "Reply-To", "Date")
STARTS = re.compile(rb"(?i)^(from|to|subject|date|received|message-id|mime-version|return-path|delivered-to|x-[\w-]+):")
FIELD = re.compile(rb"^[!-9;-~]+:")
DEPTH_MAX = 8  # of mails within mails
NAMES_MAX = 20  # of attachments in a notice
SHORT = 4  # a plain body that is this many times shorter than the HTML one only says to open the HTML one


def is_mail(head: bytes) -> bool:
    """Whether a file begins with the headers of a mail."""
    lines = [line for line in head[:8192].removeprefix(b"\xef\xbb\xbf").splitlines() if not line.startswith(b"From ")]
    headers: list[bytes] = []
    for line in lines:
        if not line:
            break
        if FIELD.match(line):
            headers.append(line)
        elif line[:1] not in b" \t" or not headers:
            return False
    return sum(bool(STARTS.match(line)) for line in headers) >= 2


def mail(content: IO[bytes]) -> Converted:
    """A mail as Markdown. What it has attached is listed, not read."""
    content.seek(0)
    found = _Mail()
    lines = list(found.lines(message_from_binary_file(content, policy=policy.compat32), depth=1))
    return sections(tidy("\n".join(lines)), lost=lost_attachments(found.attached))


def lost_attachments(attached: list[str]) -> list[str]:
    """The sentence on attachments that were not read."""
    if not attached:
        return []
    more = f" and {len(attached) - NAMES_MAX:,} more" if len(attached) > NAMES_MAX else ""
    names = ", ".join(attached[:NAMES_MAX]) + more
    return [f"The mail's attachments were not read: {names}. Drop them as documents of their own."]


@dataclass
class _Mail:
    attached: list[str] = field(default_factory=list)

    def lines(self, message: Message, depth: int) -> Iterator[str]:
        subject = header(message, "Subject")
        yield f"{'#' * min(depth, 6)} {subject or 'Mail without a subject'}"
        yield ""
        for name in HEADERS:
            if value := header(message, name):
                yield f"- {name}: {value}"
        before = len(self.attached)
        body = list(self._body(message, depth))
        if names := self.attached[before:]:
            yield f"- Attachments: {', '.join(names)}"
        yield ""
        yield from body

    def _body(self, part: Message, depth: int) -> Iterator[str]:
        kind = part.get_content_type()
        if kind == "multipart/alternative":
            yield from self._alternative(part, depth)
        elif kind == "message/rfc822" and depth < DEPTH_MAX and part.is_multipart():
            for inner in _children(part):
                yield from ("", *self.lines(inner, depth + 1))
        elif part.is_multipart():
            for child in _children(part):
                yield from self._body(child, depth)
        elif name := self._attached_name(part):
            self.attached.append(name)
        elif kind.startswith("text/"):
            yield from ("", body_markdown(decoded(part), is_html=kind == "text/html"))

    def _alternative(self, part: Message, depth: int) -> Iterator[str]:
        """The plain form of a body, unless it says less than the HTML form."""
        plain: list[str] = []
        rich: list[str] = []
        for child in _children(part):
            (plain if child.get_content_type() == "text/plain" else rich).extend(self._body(child, depth))
        yield plain_or_rich("\n".join(plain), "\n".join(rich))

    def _attached_name(self, part: Message) -> str:
        """How an attachment is called; "" for text of the mail itself and for pictures in it."""
        kind, name = part.get_content_type(), file_name(part)
        if part.get_content_disposition() == "attachment":
            return name or f"a file of type {kind}"
        is_text = kind.startswith("text/") and not name
        is_shown = kind.startswith("image/") and part.get("Content-ID")  # most are logos of a signature
        return "" if is_text or is_shown else name or f"a file of type {kind}"


def plain_or_rich(plain: str, rich: str) -> str:
    """The plain form of a body, unless it says much less than the HTML form."""
    return rich if len(plain.strip()) * SHORT < len(rich.strip()) else plain


def body_markdown(text: str, *, is_html: bool) -> str:
    return html_markdown(text)[0] if is_html else escaped(text.replace("\r\n", "\n").replace("\r", "\n"))


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def header(message: Message, name: str) -> str:
    """All values of a header on one line, decoded; as they are where they cannot be."""
    values = []
    for raw in (value for key, value in message.raw_items() if key.lower() == name.lower()):
        try:
            text = str(make_header(decode_header(raw)))
        except (ValueError, LookupError, TypeError, AttributeError):
            text = str(raw)
        values.append(" ".join(_whole(text).split()))
    return ", ".join(filter(None, values))


def file_name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
        name = str(make_header(decode_header(name)))
    except (ValueError, LookupError, TypeError, AttributeError):
        name = ""
    return " ".join(_whole(name).split())


def decoded(part: Message) -> str:
    """The text of a part, by its declared character set, or UTF-8, or cp1252."""
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        declared = part.get_content_charset()
    except (ValueError, LookupError):
        declared = None
    for codec in (declared, "utf-8"):
        try:
            if codec:
                return raw.decode(codec)
        except (ValueError, LookupError):
            continue
    return raw.decode("cp1252", "replace")


def _whole(text: str) -> str:
    """Raw bytes beyond ASCII, which the parser keeps as lone surrogates, as UTF-8 or cp1252."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")

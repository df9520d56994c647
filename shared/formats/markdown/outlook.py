"""Outlook messages (MSG): headers, body, forwarded messages, list of attachments.

Source: https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxmsg, and for the numbers of properties
https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-oxprops
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO

from shared.formats.compound import Compound, Entry
from shared.formats.markdown.base import Converted, sections, tidy
from shared.formats.markdown.mail import DEPTH_MAX, body_markdown, lost_attachments, plain_or_rich

SUBJECT, BODY, HTML, RICH_TEXT = 0x0037, 0x1000, 0x1013, 0x1009
SENDER_NAME, SENDER_ADDRESS, SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
SHOWN_TO, SHOWN_CC, SHOWN_BCC = 0x0E04, 0x0E03, 0x0E02
SENT_AT, ARRIVED_AT = 0x0039, 0x0E06
DISPLAY_NAME, ADDRESS, SMTP_ADDRESS, RECIPIENT_TYPE = 0x3001, 0x3003, 0x39FE, 0x0C15
ATTACHED, LONG_FILE_NAME, FILE_NAME, CONTENT_ID = 0x3701, 0x3707, 0x3704, 0x3712
CODE_PAGE, INTERNET_CODE_PAGE = 0x3FFD, 0x3FDE
UNICODE, ANSI, BINARY, STORAGE, LONG, TIME = 0x001F, 0x001E, 0x0102, 0x000D, 0x0003, 0x0040

PROPERTIES = "__properties_version1.0"
PROPERTY_BYTES = 16
RECIPIENTS = {1: "To", 2: "Cc", 3: "Bcc"}
RECIPIENTS_MAX = 500
EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
UTF_8 = 65001


def outlook(content: IO[bytes]) -> Converted:
    """A message as Markdown, in the form of a mail. What it has attached is listed, not read."""
    file = Compound(content)
    found = _Message(file=file)
    lines = list(found.lines(file.root, depth=1))
    return sections(tidy("\n".join(lines)), lost=[*lost_attachments(found.attached), *dict.fromkeys(found.lost)])


@dataclass(kw_only=True)
class _Message:
    file: Compound
    attached: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def lines(self, storage: Entry, depth: int) -> Iterator[str]:
        parts = _Properties(self.file, storage, head_bytes=32 if depth == 1 else 24)
        yield f"{'#' * min(depth, 6)} {_line(parts.text(SUBJECT)) or 'Mail without a subject'}"
        yield ""
        for name, value in self._headers(parts):
            if value:
                yield f"- {name}: {value}"
        before = len(self.attached)
        forwarded = list(self._attachments(parts, depth))
        if names := self.attached[before:]:
            yield f"- Attachments: {', '.join(names)}"
        yield ""
        yield self._body(parts)
        yield from forwarded

    def _headers(self, parts: _Properties) -> Iterator[tuple[str, str]]:
        yield "From", _person(parts.text(SENDER_NAME), parts.text(SENDER_SMTP) or parts.text(SENDER_ADDRESS))
        people: dict[str, list[str]] = {}
        for storage in parts.storages("__recip_version1.0_#")[:RECIPIENTS_MAX]:
            person = _Properties(self.file, storage, head_bytes=8, code_page=parts.code_page)
            address = person.text(SMTP_ADDRESS) or person.text(ADDRESS)
            kind = RECIPIENTS.get(person.number(RECIPIENT_TYPE) or 1, "To")
            people.setdefault(kind, []).append(_person(person.text(DISPLAY_NAME), address))
        for name, shown in (("To", SHOWN_TO), ("Cc", SHOWN_CC), ("Bcc", SHOWN_BCC)):
            yield name, ", ".join(people.get(name, ())) or _line(parts.text(shown))
        at = parts.time(SENT_AT) or parts.time(ARRIVED_AT)
        yield "Date", at.strftime("%a, %d %b %Y %H:%M:%S UTC") if at else ""

    def _body(self, parts: _Properties) -> str:
        plain = body_markdown(parts.text(BODY), is_html=False)
        html = parts.text(HTML) or parts.html()
        body = plain_or_rich(plain, body_markdown(html, is_html=True) if html else "")
        if not body.strip() and parts.has(RICH_TEXT, BINARY):
            self.lost.append("The mail's text, which is only there as rich text, was not read. Save it as .eml.")
        return body

    def _attachments(self, parts: _Properties, depth: int) -> Iterator[str]:
        """The lines of forwarded messages; other attachments become names."""
        for storage in parts.storages("__attach_version1.0_#"):
            own = _Properties(self.file, storage, head_bytes=8, code_page=parts.code_page)
            message = own.storage(ATTACHED)
            if message and PROPERTIES in self.file.children(message) and depth < DEPTH_MAX:
                yield from ("", *self.lines(message, depth + 1))
                continue
            name = _line(own.text(LONG_FILE_NAME) or own.text(FILE_NAME) or own.text(DISPLAY_NAME))
            is_shown = own.text(CONTENT_ID) and name.lower().endswith((".png", ".jpg", ".jpeg", ".gif"))
            if not is_shown:  # most pictures in a text are logos of a signature
                self.attached.append(name or "a file without a name")


class _Properties:
    """The properties of a message, a recipient or an attachment: texts are streams, numbers are in a list."""

    def __init__(self, file: Compound, storage: Entry, *, head_bytes: int, code_page: int = 0) -> None:
        self._file = file
        self._entries = file.children(storage)
        fixed = self._entries.get(PROPERTIES)
        listed = file.read(fixed)[head_bytes:] if fixed else b""
        self._fixed: dict[int, bytes] = {}  # number and type -> value
        for place in range(0, len(listed) - PROPERTY_BYTES + 1, PROPERTY_BYTES):
            (tag,) = struct.unpack_from("<I", listed, place)
            self._fixed[tag] = listed[place + 8 : place + 16]
        self.code_page = code_page or self.number(CODE_PAGE) or self.number(INTERNET_CODE_PAGE) or 1252

    def has(self, number: int, kind: int) -> bool:
        return f"__substg1.0_{number:04X}{kind:04X}" in self._entries

    def text(self, number: int) -> str:
        if self.has(number, UNICODE):
            return self._bytes(number, UNICODE).decode("utf-16-le", "replace").rstrip("\0")
        return _decoded(self._bytes(number, ANSI), self.code_page).rstrip("\0")

    def html(self) -> str:
        """HTML is bytes, in the code page of mails, which need not be that of the message."""
        return _decoded(self._bytes(HTML, BINARY), self.number(INTERNET_CODE_PAGE) or self.code_page)

    def number(self, number: int) -> int | None:
        value = self._fixed.get(number << 16 | LONG)
        return int.from_bytes(value[:4], "little") if value else None

    def time(self, number: int) -> datetime | None:
        value = self._fixed.get(number << 16 | TIME)
        try:  # tenths of a microsecond since 1601
            return EPOCH + timedelta(microseconds=int.from_bytes(value, "little") // 10) if value else None
        except OverflowError:
            return None

    def storage(self, number: int) -> Entry | None:
        found = self._entries.get(f"__substg1.0_{number:04X}{STORAGE:04X}")
        return found if found and found.is_storage else None

    def storages(self, start: str) -> list[Entry]:
        return [self._entries[name] for name in sorted(self._entries) if name.startswith(start)]

    def _bytes(self, number: int, kind: int) -> bytes:
        stream = self._entries.get(f"__substg1.0_{number:04X}{kind:04X}")
        return self._file.read(stream) if stream else b""


def _decoded(raw: bytes, code_page: int) -> str:
    name = "utf-8" if code_page == UTF_8 else f"cp{code_page}"
    try:
        codecs.lookup(name)
    except LookupError:
        name = {20127: "ascii", 28591: "latin-1", 28605: "iso8859-15", 20866: "koi8-r"}.get(code_page, "cp1252")
    try:
        return raw.decode(name)
    except ValueError:
        return raw.decode("cp1252", "replace")


def _person(name: str, address: str) -> str:
    """`Name <address>`. The address within an organisation, `/o=...`, says nothing to anybody."""
    name, address = _line(name), _line(address)
    if address.startswith("/") or address.lower() == name.lower():
        address = ""
    return f"{name} <{address}>" if name and address else name or address


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())

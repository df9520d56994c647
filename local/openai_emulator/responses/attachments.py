"""Files and images inside messages: `input_file` and `input_image`, read before the model sees the message.

Source: https://developers.openai.com/api/docs/guides/file-inputs
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.openai_emulator.agent.conversation import AttachedFile, AttachedImage
from local.openai_emulator.agent.model import Model, takes_images
from local.openai_emulator.errors import invalid, not_implemented
from local.openai_emulator.files.files import Files
from local.openai_emulator.http import wire
from local.openai_emulator.search.parsers import ParseError

if TYPE_CHECKING:
    from local.openai_emulator.search.index import Index

Attached = Mapping[str, AttachedFile | AttachedImage]  # by the place of the part, such as "input[0].content[1]"
IMAGES = ("image/png", "image/jpeg", "image/webp", "image/gif")


class Attachments:
    def __init__(self, *, files: Files, index: Index, model: Model) -> None:
        self._files = files
        self._index = index
        self._model = model

    async def read(self, asked: str | Sequence[Mapping[str, Any]] | None) -> Attached:
        """The contents of all files and images in input items.

        Raises:
            ApiError: 404 for an unknown file; 400 for one that cannot be read, and for an image that the model does not
                take; 501 for a file that is named by its URL.
        """
        attached: dict[str, AttachedFile | AttachedImage] = {}
        for place, part in _parts(asked):
            if part.get("type") == "input_file":
                attached[place] = await self._file(part, place)
            elif part.get("type") == "input_image":
                attached[place] = self._image(part, place)
        return attached

    async def _file(self, part: Mapping[str, Any], place: str) -> AttachedFile:
        source = _source(part, ("file_id", "file_data", "file_url"), place)
        if source == "file_url":
            raise not_implemented("files named by their URL", param=f"{place}.file_url")
        if source == "file_id":
            file = self._files.get(str(part["file_id"]))
            return await self._parsed(self._files.path(file.id), file.filename, place)
        name = part.get("filename")
        if not isinstance(name, str) or not name:
            param = f"{place}.filename"
            raise invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
        _, content = _decoded(part["file_data"], f"{place}.file_data", example="application/pdf")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            path.write_bytes(content)
            return await self._parsed(path, wire.safe_filename(name), place)

    async def _parsed(self, path: Path, filename: str, place: str) -> AttachedFile:
        try:
            texts = await self._index.read(path, filename)
        except ParseError as exc:
            message = f"The file '{filename}' cannot be read: {exc}"
            raise invalid(message, param=place, code="unsupported_file") from exc
        return AttachedFile(filename=filename, texts=tuple(texts))

    def _image(self, part: Mapping[str, Any], place: str) -> AttachedImage:
        if not takes_images(self._model):
            message = "Invalid content type. input_image is only supported by certain models."
            raise invalid(message, param=f"{place}.type", code=None)
        detail = str(part.get("detail") or "auto")
        if _source(part, ("file_id", "image_url"), place) == "file_id":
            file = self._files.get(str(part["file_id"]))
            kind = mimetypes.guess_type(file.filename)[0] or ""
            content = self._files.path(file.id).read_bytes()
            return AttachedImage(url=_image_url(kind, content, f"{place}.file_id"), detail=detail)
        url = str(part["image_url"])
        if not url.startswith(("http://", "https://")):
            url = _image_url(*_decoded(url, f"{place}.image_url", example="image/png"), f"{place}.image_url")
        return AttachedImage(url=url, detail=detail)


def _parts(asked: str | Sequence[Mapping[str, Any]] | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, item in enumerate(asked if isinstance(asked, Sequence) and not isinstance(asked, str) else ()):
        content = item.get("content") if item.get("type", "message") == "message" else None
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, Mapping):
                yield f"input[{number}].content[{place}]", part


def _source(part: Mapping[str, Any], names: Sequence[str], place: str) -> str:
    """The only one of the parameters that is given."""
    given = [name for name in names if part.get(name) is not None]
    if not given:
        param = f"{place}.{names[0]}"
        raise invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    if len(given) > 1:
        message = f"Mutually exclusive parameters: {', '.join(repr(name) for name in given)}."
        raise invalid(message, param=place, code="mutually_exclusive_parameters")
    return given[0]


def _decoded(url: Any, param: str, *, example: str) -> tuple[str, bytes]:
    """The media type and the content of a data URL."""
    such = f"data:{example};base64,aW1nIGJ5dGVzIGhlcmU="
    expected = f"Expected a base64-encoded data URL with a MIME type (e.g. '{such}')"
    if not isinstance(url, str) or not url.startswith("data:"):
        raise invalid(f"Invalid '{param}'. {expected}, but got a value without the 'data:' prefix.", param=param)
    head, comma, data = url.removeprefix("data:").partition(",")
    kind, _, encoding = head.partition(";")
    if not comma or encoding.rpartition(";")[2] != "base64":
        raise invalid(f"Invalid '{param}'. {expected}, but got a value that is not base64-encoded.", param=param)
    try:
        return kind, base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise invalid(f"Invalid '{param}'. {expected}, but the base64 data is invalid.", param=param) from exc


def _image_url(kind: str, content: bytes, param: str) -> str:
    if kind not in IMAGES:
        message = "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
        raise invalid(message + "['png', 'jpeg', 'gif', 'webp'].", param=param, code="image_parse_error")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

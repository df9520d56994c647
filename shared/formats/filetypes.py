"""What becomes of a document, by its name and size. Pure.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/file-search#supported-file-types
"""

from __future__ import annotations

import hashlib
import re

from shared.formats.base import UnusableFile, failed, unsupported
from shared.models.documents import Kind

TEXT = frozenset(
    "c cs cpp doc docx html java json md pdf php pptx py rb tex txt css js sh ts".split()  # noqa: SIM905
)
DATA = frozenset({"csv", "tsv", "xlsx", "parquet"})
PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "webp", "heic", "svg"})
# Refused by name: large as a rule, and never anything that is read. Any other ending is left to the content.
HOPELESS = frozenset(
    "zip 7z rar gz tgz tar bz2 xz iso dmg exe dll msi mp3 wav flac ogg m4a mp4 mkv avi mov webm".split()  # noqa: SIM905
)


# Source: https://learn.microsoft.com/azure/ai-foundry/openai/how-to/code-interpreter#supported-file-types
SENT_AS = {"parquet": "csv", "tsv": "txt"}


def classify(path: str, size_bytes: int, *, max_bytes: int) -> Kind | UnusableFile:
    """`text` goes to file search as it is, `data` goes to code interpreter and its card to file search.

    The cheap first check, before the content is seen. An ending that says nothing is `text` until `look_inside`.
    """
    if message := bad_path(path):
        return unsupported(message, "bad_name")
    ending = ending_of(path)
    if ending in PICTURES:
        return unsupported("A picture has no text to search. Run OCR first and drop the text, or a searchable PDF.")
    if ending in HOPELESS:
        known = " ".join(sorted(TEXT | DATA))
        return unsupported(f"Files ending in .{ending} are not read. Convert it to one of: {known}.")
    if size_bytes == 0:
        return failed("empty_file", "The file has no content.")
    if size_bytes > max_bytes:
        return failed(
            "file_too_large", f"The file has {size_bytes:,} bytes; at most {max_bytes:,} are taken. Split it."
        )
    return "data" if ending in DATA else "text"


def bad_path(path: str) -> str | None:
    """Why a blob's name is refused; None when it is fine."""
    if not path or len(path) > 1024:
        return "A document's name has 1 to 1,024 characters."
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        return "A document's name has no empty parts and no parts '.' or '..'."
    if re.search(r"[\x00-\x1f\x7f\\]", path):
        return "A document's name has no control characters and no backslashes."
    return None


def ending_of(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return name.rsplit(".", 1)[-1].lower() if "." in name else ""


def service_name(path: str, kind: Kind, ending: str | None = None) -> str:
    """The file's name at the service. A data file's folders are in it: code interpreter puts all files into one.

    `ending` is the content's true one: the service decides by it, so it is appended where the name ends in another.
    A Parquet file goes as `<name>.csv`, its copy; a .tsv as `<name>.txt`, for .tsv is not on code interpreter's list.
    """
    true = SENT_AS.get(ending, ending) if ending else None
    suffix = f".{true}" if true and true != ending_of(path) else ""
    if kind == "text":
        return path.rsplit("/", 1)[-1] + suffix
    if "__" in path:
        name, dot, last = path.replace("/", "__").rpartition(".")
        mark = hashlib.sha256(path.encode()).hexdigest()[:8]
        return f"{name}-{mark}.{last}{suffix}" if dot else f"{last}-{mark}{suffix}"
    return path.replace("/", "__") + suffix

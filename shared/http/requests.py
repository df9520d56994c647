"""HTTP request -> our words. Everything that comes from outside is checked here, once."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from shared.errors import BadRequest, NotFound, TooLarge, WrongMediaType
from shared.filetypes import bad_path
from shared.runs import Question
from shared.settings import Settings

FILES_MAX = 20
METADATA_MAX = 16
COLLECTION_MAX_CHARS = 200


class QuestionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/runs`."""

    question: str
    thread_id: str | None = None
    collection: str | None = None
    files: list[str] | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)


def question_from(body: bytes, headers: Mapping[str, str], settings: Settings) -> Question:
    """Parse and check a question.

    Raises:
        BadRequest (or TooLarge, WrongMediaType, NotFound): with a sentence that says what to change.
    """
    if len(body) > settings.body_max_bytes:
        raise TooLarge(f"The body has {len(body):,} bytes; at most {settings.body_max_bytes:,} are taken.")
    _require_json(headers)
    try:
        asked = msgspec.json.decode(body, type=QuestionBody)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"The body does not fit: {exc}.", code="invalid_body") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BadRequest(f"The body is not valid JSON: {exc}.", code="malformed_json") from exc
    return Question(
        question=_question(asked.question, settings.question_max_chars),
        thread_id=thread_id_from(asked.thread_id) if asked.thread_id is not None else None,
        collection=collection_from(asked.collection) if asked.collection is not None else None,
        files=_files(asked.files) if asked.files is not None else None,
        metadata=_metadata(asked.metadata),
    )


def run_id_from(text: str) -> str:
    """A run's id in a URL. It becomes part of a blob's name, so that nothing but an id may pass."""
    if not re.fullmatch(r"run_[0-9a-f]{24}", text):
        raise NotFound("There is no such run. A run's id looks like run_ and 24 hex digits.", code="run_not_found")
    return text


def thread_id_from(text: str) -> str:
    if not re.fullmatch(r"thread_[0-9a-f]{24}", text):
        raise NotFound(
            f"There is no thread {text[:80]!r}. Leave thread_id out to begin a new one.", code="thread_not_found"
        )
    return text


def collection_from(text: str) -> str:
    if not text or len(text) > COLLECTION_MAX_CHARS or "/" in text or bad_path(text):
        raise BadRequest(
            f"A collection's name is that of a folder in the container 'documents': 1 to {COLLECTION_MAX_CHARS} "
            "characters, no slash.",
            code="invalid_collection",
        )
    return text


def _require_json(headers: Mapping[str, str]) -> None:
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise WrongMediaType(f"Send the body as application/json, not as {media_type or 'nothing'}.")


def _question(text: str, max_chars: int) -> str:
    if not text.strip():
        raise BadRequest("The question is empty. Write one in the field 'question'.", code="empty_question")
    if len(text) > max_chars:
        raise BadRequest(
            f"The question has {len(text):,} characters; at most {max_chars:,} are taken. Drop long text into the "
            "container 'documents' and ask about it.",
            code="question_too_long",
        )
    return text.strip()


def _files(paths: list[str]) -> tuple[str, ...]:
    if len(paths) > FILES_MAX:
        raise BadRequest(f"At most {FILES_MAX} files can be named; these are {len(paths)}.", code="too_many_files")
    for path in paths:
        if why := bad_path(path):
            raise BadRequest(f"{path[:80]!r} cannot be a document. {why}", code="invalid_file")
    return tuple(dict.fromkeys(paths))


def _metadata(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > METADATA_MAX or any(not 0 < len(k) <= 64 or len(v) > 512 for k, v in pairs.items()):
        raise BadRequest(
            f"Metadata takes {METADATA_MAX} pairs, keys of 1 to 64 and values of up to 512 characters.",
            code="invalid_metadata",
        )
    return pairs

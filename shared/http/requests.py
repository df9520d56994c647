"""HTTP request -> our words. Everything that comes from outside is checked here, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast, get_args

import msgspec

from shared.errors import BadRequest, NotFound, TooLarge, WrongMediaType
from shared.filetypes import bad_path
from shared.http.fields import (
    COLLECTION_MAX_CHARS,
    FILES_MAX,
    FILTERS_DEPTH_MAX,
    FILTERS_MAX,
    FUNCTIONS_MAX,
    METADATA_KEY_MAX_CHARS,
    METADATA_MAX,
    METADATA_VALUE_MAX_CHARS,
    PAGE_DEFAULT,
    PAGE_MAX,
    AssistantName,
    CollectionName,
    Cursor,
    DocumentState,
    FunctionName,
    HookId,
    IdempotencyKey,
    ReportId,
    RunId,
    Status,
    ThreadId,
    fits,
)
from shared.http.shapes import AssistantBody, FunctionTool, QuestionBody, ToolOutputsBody
from shared.models import Assistant, DocumentStatus, Function, RunStatus, collection_of
from shared.runs import Question
from shared.settings import Settings

T = TypeVar("T")

BLOB_METADATA_MAX_BYTES = 8 * 1024


def body_from(body: bytes, headers: Mapping[str, str], type: type[T], *, max_bytes: int) -> T:
    """Decode a JSON body.

    Raises:
        BadRequest (or TooLarge, WrongMediaType): with a sentence that says what to change.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"The body has {len(body):,} bytes; at most {max_bytes:,} are taken.")
    media_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise WrongMediaType(f"Send the body as application/json, not as {media_type or 'nothing'}.")
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as exc:
        raise BadRequest(f"The body does not fit: {exc}.", code="invalid_body") from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"The body is not valid JSON: {exc}.", code="malformed_json") from exc


def question_from(asked: QuestionBody, settings: Settings) -> Question:
    return Question(
        question=_question(asked.question, settings.question_max_chars),
        thread_id=thread_id_from(asked.thread_id) if asked.thread_id is not None else None,
        collection=collection_from(asked.collection) if asked.collection is not None else None,
        assistant=assistant_name_from(asked.assistant) if asked.assistant is not None else None,
        files=_files(asked.files) if asked.files is not None else None,
        functions=_functions(asked.tools),
        metadata=_metadata(asked.metadata),
        max_seconds=asked.max_seconds,
        callback_url=asked.callback_url,
    )


def outputs_from(given: ToolOutputsBody, settings: Settings) -> dict[str, str]:
    """Raises TooLarge when one is over the limit, BadRequest when a call is in it twice."""
    outputs = {output.call_id: output.output for output in given.tool_outputs}
    if len(outputs) < len(given.tool_outputs):
        raise BadRequest("A call has two outputs in this request. Send one each.", code="duplicate_output")
    for call_id, output in outputs.items():
        if (size := len(output.encode())) > settings.tool_output_max_bytes:
            raise TooLarge(
                f"The output of {call_id[:80]!r} has {size:,} bytes; at most {settings.tool_output_max_bytes:,} are "
                "taken. Put it into a document and say so.",
                code="output_too_large",
            )
    return outputs


def assistant_from(name: str, body: AssistantBody) -> Assistant:
    from shared.assistants import DEFAULT
    from shared.tools import REGISTRY

    if unknown := [function for function in body.functions if function not in REGISTRY]:
        raise BadRequest(
            f"The app has no function {unknown[0][:80]!r}. It has: {', '.join(sorted(REGISTRY))}.",
            code="unknown_function",
        )
    return Assistant(
        name=assistant_name_from(name),
        version=0,
        updated_at=DEFAULT.updated_at,
        model=body.model,
        instructions=body.instructions,
        temperature=body.temperature,
        max_output_tokens=body.max_output_tokens,
        collection=collection_from(body.collection) if body.collection is not None else None,
        file_search=body.file_search,
        code_interpreter=body.code_interpreter,
        functions=tuple(dict.fromkeys(body.functions)),
        max_seconds=body.max_seconds,
    )


# ---- ids and names: each becomes part of a blob's name, so that nothing but what is meant may pass ---------------


def run_id_from(text: str) -> str:
    if not fits(text, RunId):
        raise NotFound("There is no such run. A run's id looks like run_ and 24 hex digits.", code="run_not_found")
    return text


def thread_id_from(text: str) -> str:
    if not fits(text, ThreadId):
        raise NotFound(
            f"There is no thread {text[:80]!r}. Leave thread_id out to begin a new one.", code="thread_not_found"
        )
    return text


def hook_id_from(text: str) -> str:
    if not fits(text, HookId):
        raise NotFound("There is no such hook.", code="hook_not_found")
    return text


def assistant_name_from(text: str) -> str:
    if not fits(text, AssistantName):
        raise BadRequest(
            "An assistant's name has 1 to 64 small letters, digits, - and _, and begins with a letter or digit.",
            code="invalid_assistant_name",
        )
    return text


def collection_from(text: str) -> str:
    if not fits(text, CollectionName) or "/" in text or bad_path(text):
        raise BadRequest(
            f"A collection's name is that of a folder in the container 'documents': 1 to {COLLECTION_MAX_CHARS} "
            "characters, no slash.",
            code="invalid_collection",
        )
    return text


def document_path_from(path: str) -> str:
    """`reports/a.pdf` is in the collection `reports`; `a.pdf`, without a folder, is in `default`."""
    if why := bad_path(path):
        raise BadRequest(why, code="invalid_path")
    collection_from(collection_of(path))
    return path


def prefix_from(text: str | None) -> str:
    """What is to be deleted all together has to be said plainly: a folder, with its slash."""
    if not text or not text.endswith("/") or bad_path(text.removesuffix("/")):
        raise BadRequest("Name the folder whose documents are to go, with a slash at its end.", code="invalid_prefix")
    return text


def blob_metadata_from(headers: Mapping[str, str]) -> dict[str, str]:
    """`x-ms-meta-team: hr` -> `{"team": "hr"}`, as Blob Storage takes it.

    Source: https://learn.microsoft.com/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources
    """
    prefix = "x-ms-meta-"
    found = {name.lower().removeprefix(prefix): v for name, v in headers.items() if name.lower().startswith(prefix)}
    fine = all(re.fullmatch(r"[a-z_][a-z0-9_]{0,63}", k) and re.fullmatch(r"[ -~]*", v) for k, v in found.items())
    if not fine or sum(len(k) + len(v) for k, v in found.items()) > BLOB_METADATA_MAX_BYTES:
        raise BadRequest(
            "A header x-ms-meta-<name> takes a name of letters, digits and _ and a value in printable ASCII; all of "
            f"them together {BLOB_METADATA_MAX_BYTES:,} bytes.",
            code="invalid_metadata",
        )
    return found


def report_id_from(text: str) -> str:
    if not fits(text, ReportId):
        raise NotFound("There is no such report.", code="report_not_found")
    return text


def idempotency_key_from(headers: Mapping[str, str]) -> str | None:
    """Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""
    key = headers.get("idempotency-key")
    if key is not None and not fits(key, IdempotencyKey):
        raise BadRequest("An Idempotency-Key has 1 to 255 printable ASCII characters.", code="invalid_idempotency_key")
    return key


# ---- listings ----------------------------------------------------------------------------------------------------


def status_from(text: str | None) -> RunStatus | None:
    if text is None:
        return None
    if not fits(text, Status):
        raise BadRequest(f"A run's status is one of {', '.join(get_args(RunStatus))}.", code="invalid_status")
    return cast(RunStatus, text)


def document_status_from(text: str | None) -> DocumentStatus | None:
    if text is None:
        return None
    if not fits(text, DocumentState):
        known = ", ".join(get_args(DocumentStatus))
        raise BadRequest(f"A document's status is one of {known}.", code="invalid_status")
    return cast(DocumentStatus, text)


def flag_from(text: str | None, name: str) -> bool:
    if text not in (None, "true", "false"):
        raise BadRequest(f"{name} is true or false.", code="invalid_flag")
    return text == "true"


def limit_from(text: str | None, *, default: int = PAGE_DEFAULT, most: int = PAGE_MAX) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= most):
        raise BadRequest(f"The limit is a whole number from 1 to {most}.", code="invalid_limit")
    return int(text)


def cursor_from(text: str | None) -> str | None:
    if text is not None and not fits(text, Cursor):
        raise BadRequest("Take the cursor from the page before, as it is.", code="invalid_cursor")
    return text


# ---- search ------------------------------------------------------------------------------------------------------


def query_from(text: str, max_chars: int) -> str:
    if not text.strip():
        raise BadRequest("The query is empty. Write one in the field 'query'.", code="empty_query")
    if len(text) > max_chars:
        raise BadRequest(
            f"The query has {len(text):,} characters; at most {max_chars:,} are taken.", code="query_too_long"
        )
    return text.strip()


def filters_from(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The filter object of file search, checked.

    Source: https://platform.openai.com/docs/guides/retrieval#attribute-filtering
    """
    if given is not None and (fault := _filter_fault(given, depth=1)):
        raise BadRequest(f"The filter cannot be used: {fault}", code="invalid_filters")
    return given


def _filter_fault(node: object, *, depth: int) -> str | None:
    if not isinstance(node, dict):
        return "each is an object with a 'type'."
    kind = node.get("type")
    if kind in ("and", "or"):
        parts = node.get("filters")
        if node.keys() != {"type", "filters"} or not isinstance(parts, list) or not 0 < len(parts) <= FILTERS_MAX:
            return f"{kind!r} takes 'filters', a list of 1 to {FILTERS_MAX}, and nothing else."
        if depth == FILTERS_DEPTH_MAX:
            return f"they are nested more than {FILTERS_DEPTH_MAX} deep."
        return next((fault for part in parts if (fault := _filter_fault(part, depth=depth + 1))), None)
    if node.keys() != {"type", "key", "value"} or not isinstance(node["key"], str) or not 0 < len(node["key"]) <= 64:
        return "a comparison takes 'type', 'key' (the name of a metadata) and 'value', and nothing else."
    value = node["value"]
    if kind in ("in", "nin"):
        good = (
            isinstance(value, list) and 0 < len(value) <= 100 and all(isinstance(v, str | int | float) for v in value)
        )
        return None if good else f"{kind!r} takes a list of 1 to 100 texts, numbers or truth values."
    if kind not in ("eq", "ne", "gt", "gte", "lt", "lte"):
        return f"there is no type {str(kind)[:40]!r}; use eq, ne, gt, gte, lt, lte, in, nin, and, or."
    if not isinstance(value, str | int | float) or (isinstance(value, bool) and kind not in ("eq", "ne")):
        return f"{kind!r} compares with a text or a number."
    return None


# ---- parts of a question -----------------------------------------------------------------------------------------


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


def _functions(tools: list[FunctionTool]) -> tuple[Function, ...]:
    from shared.tools import REGISTRY

    names = [tool.name for tool in tools]
    if len(tools) > FUNCTIONS_MAX or len(set(names)) < len(names):
        raise BadRequest(f"At most {FUNCTIONS_MAX} tools, each with a name of its own.", code="invalid_tools")
    for tool in tools:
        if not fits(tool.name, FunctionName):
            raise BadRequest("A tool's name has 1 to 64 letters, digits, - and _.", code="invalid_tools")
        if tool.name in REGISTRY:
            raise BadRequest(f"{tool.name!r} is the name of a function of the app's own.", code="invalid_tools")
        if tool.parameters and tool.parameters.get("type") != "object":
            raise BadRequest(
                f"The parameters of {tool.name!r} must be a JSON Schema of type object.", code="invalid_tools"
            )
    empty = {"type": "object", "properties": {}}
    return tuple(Function(name=t.name, description=t.description, parameters=t.parameters or empty) for t in tools)


def _metadata(pairs: dict[str, str]) -> dict[str, str]:
    if len(pairs) > METADATA_MAX or any(
        not 0 < len(k) <= METADATA_KEY_MAX_CHARS or len(v) > METADATA_VALUE_MAX_CHARS for k, v in pairs.items()
    ):
        raise BadRequest(
            f"Metadata takes {METADATA_MAX} pairs, keys of 1 to {METADATA_KEY_MAX_CHARS} and values of up to "
            f"{METADATA_VALUE_MAX_CHARS} characters.",
            code="invalid_metadata",
        )
    return pairs

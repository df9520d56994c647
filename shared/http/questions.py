"""Checks of what the routes of runs get: a question, the outputs of functions, an Idempotency-Key."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import azure.functions as func
import msgspec

from shared.errors import BadRequest, TooLarge
from shared.formats.filetypes import bad_path
from shared.http.assistants import assistant_name_from
from shared.http.fields import FILES_MAX, FUNCTIONS_MAX, SCHEMA_MAX_BYTES, FunctionName, IdempotencyKey, fits
from shared.http.reading import metadata_from, optional_collection_from
from shared.http.route import key_in
from shared.http.shapes.runs import FunctionTool, QuestionBody, ToolOutputsBody
from shared.http.threads import thread_id_from
from shared.models.runs import Function
from shared.runs.record import digest
from shared.runs.runs import Question
from shared.settings import Settings


def question_from(body: QuestionBody, settings: Settings) -> Question:
    return Question(
        question=_question(body.question, settings.question_max_chars),
        thread_id=thread_id_from(body.thread_id) if body.thread_id is not None else None,
        collection=optional_collection_from(body.collection),
        allow_other_collection=bool(body.allow_other_collection),
        assistant=assistant_name_from(body.assistant) if body.assistant is not None else None,
        files=_files(body.files) if body.files is not None else None,
        functions=_functions(body.tools),
        metadata=metadata_from(body.metadata),
        max_seconds=body.max_seconds,
        callback_url=body.callback_url,
    )


def outputs_from(given: ToolOutputsBody, settings: Settings) -> dict[str, str]:
    """Call id -> output.

    Raises:
        BadRequest: a call has two outputs.
        TooLarge: an output is over the limit.
    """
    outputs = {output.call_id: output.output for output in given.tool_outputs}
    if len(outputs) < len(given.tool_outputs):
        raise BadRequest("A call has two outputs in this request. Send one for each call.", code="duplicate_output")
    for call_id, output in outputs.items():
        if (size := len(output.encode())) > settings.tool_output_max_bytes:
            raise TooLarge(
                f"The output of {call_id[:80]!r} has {size:,} bytes; the limit is {settings.tool_output_max_bytes:,}. "
                "Store long output as a document and send its path.",
                code="output_too_large",
            )
    return outputs


def idempotency_key_from(headers: Mapping[str, str]) -> str | None:
    """Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""
    key = headers.get("idempotency-key")
    if key is not None and not fits(key, IdempotencyKey):
        raise BadRequest("An Idempotency-Key has 1 to 255 printable ASCII characters.", code="invalid_idempotency_key")
    return key


def own_key(key: str | None, req: func.HttpRequest) -> str | None:
    """The Idempotency-Key together with the function key of the caller.

    So a caller with another function key uses other Idempotency-Keys, and cannot find out which are in use.
    """
    secret = req.headers.get("x-functions-key") or unquote(key_in(req.url))
    return f"{key}\n{digest(secret)}" if key is not None and secret else key


def _question(text: str, max_chars: int) -> str:
    if not text.strip():
        raise BadRequest("The question is empty. Write one in the field 'question'.", code="empty_question")
    if len(text) > max_chars:
        raise BadRequest(
            f"The question has {len(text):,} characters; the limit is {max_chars:,}. Upload long text to the "
            "container 'documents' and ask about it.",
            code="question_too_long",
        )
    return text.strip()


def _files(paths: list[str]) -> tuple[str, ...]:
    if len(paths) > FILES_MAX:
        raise BadRequest(f"At most {FILES_MAX} files are allowed; there are {len(paths)}.", code="too_many_files")
    for path in paths:
        if why := bad_path(path):
            raise BadRequest(f"{path[:80]!r} is not a document path. {why}", code="invalid_file")
    return tuple(dict.fromkeys(paths))


def _functions(tools: list[FunctionTool]) -> tuple[Function, ...]:
    from shared.runs.tools import REGISTRY

    names = [tool.name for tool in tools]
    if len(tools) > FUNCTIONS_MAX or len(set(names)) < len(names):
        raise BadRequest(f"At most {FUNCTIONS_MAX} tools are allowed, each with its own name.", code="invalid_tools")
    for tool in tools:
        if not fits(tool.name, FunctionName):
            raise BadRequest("A tool's name has 1 to 64 letters, digits, - and _.", code="invalid_tools")
        if tool.name in REGISTRY:
            raise BadRequest(f"{tool.name!r} is the name of one of the app's own functions.", code="invalid_tools")
        if tool.parameters and tool.parameters.get("type") != "object":
            raise BadRequest(
                f"The parameters of {tool.name!r} must be a JSON Schema of type object.", code="invalid_tools"
            )
        if (size := len(msgspec.json.encode(tool.parameters))) > SCHEMA_MAX_BYTES:
            raise BadRequest(
                f"The parameters of {tool.name!r} have {size:,} bytes of JSON Schema; the limit is "
                f"{SCHEMA_MAX_BYTES:,}.",
                code="invalid_tools",
            )
    empty = {"type": "object", "properties": {}}
    return tuple(Function(name=t.name, description=t.description, parameters=t.parameters or empty) for t in tools)

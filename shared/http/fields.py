"""Ids, names and limits that come from outside: types that check them and describe them, so that both say the same."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared.models.documents import DocumentStatus
from shared.models.runs import RunStatus

FILES_MAX = 20
FUNCTIONS_MAX = 64
METADATA_MAX = 16
METADATA_KEY_MAX_CHARS = 64
METADATA_VALUE_MAX_CHARS = 512
COLLECTION_MAX_CHARS = 200
PATH_MAX_CHARS = 1024
PAGE_MAX = 100
PAGE_DEFAULT = 20
BIG_PAGE_MAX = 1_000  # of documents and receipts
BIG_PAGE_DEFAULT = 100
RESULTS_MAX = 50
RESULTS_DEFAULT = 10
FILTERS_MAX = 16  # in one filter that combines others
FILTERS_DEPTH_MAX = 4
EXPIRY_MAX_DAYS = 365
SECONDS_MAX = 604_800
OUTPUTS_MAX = 128
OUTPUTS_MAX_BYTES = 4 * 1024 * 1024  # of all outputs of a request together

THREAD_ID = "^thread_[0-9a-f]{24}$"
ASSISTANT_NAME = "^[a-z0-9][a-z0-9_-]{0,63}$"

RunId = Annotated[
    str,
    Meta(pattern="^run_[0-9a-f]{24}$", description="The run's id.", examples=["run_e6a5c1b2d3f405162738495a"]),
]
ThreadId = Annotated[
    str,
    Meta(
        pattern=THREAD_ID,
        description="The thread's id.",
        examples=["thread_e6a5c1b2d3f405162738495a"],
    ),
]
HookId = Annotated[
    str,
    Meta(pattern="^hook_[0-9a-f]{24}$", description="The hook's id.", examples=["hook_e6a5c1b2d3f405162738495a"]),
]
AssistantName = Annotated[
    str,
    Meta(
        pattern=ASSISTANT_NAME,
        description="The assistant's name: small letters, digits, - and _.",
        examples=["default"],
    ),
]
FunctionName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$", examples=["get_weather"])]
CollectionName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=COLLECTION_MAX_CHARS,
        description="The collection: a folder at the top of the container 'documents'.",
        examples=["default"],
    ),
]
DocumentPath = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=PATH_MAX_CHARS,
        description="The document's path in the container 'documents', as collection/path; it may hold slashes.",
        examples=["reports/guide.md"],
    ),
]
ChartNumber = Annotated[int, Meta(ge=1, description="The chart's number, counted from 1.", examples=[1])]
Status = Annotated[RunStatus, Meta(description="Only runs of this status.")]
DocumentState = Annotated[DocumentStatus, Meta(description="Only documents of this status.")]
Prefix = Annotated[
    str, Meta(min_length=1, max_length=PATH_MAX_CHARS, description="Where the paths begin.", examples=["reports/2024/"])
]
ReportId = Annotated[
    str, Meta(pattern="^rec_[0-9a-f]{24}$", description="The report's id.", examples=["rec_e6a5c1b2d3f405162738495a"])
]
Flag = Annotated[bool, Meta(description="true or false.")]
BigLimit = Annotated[
    int, Meta(ge=1, le=BIG_PAGE_MAX, description=f"How many at most; {BIG_PAGE_DEFAULT} when left out.")
]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX, description=f"How many at most; {PAGE_DEFAULT} when left out.")]
Cursor = Annotated[
    str, Meta(pattern="^[!-~]{1,2000}$", description="Where the page begins: `cursor` of the page before.")
]
IdempotencyKey = Annotated[
    str,
    Meta(
        pattern="^[ -~]{1,255}$",
        description="The same key with the same request again answers the same run.",
    ),
]


def fits(text: str, type: Any) -> bool:
    """Whether a text from a URL or header is one of these."""
    try:
        msgspec.convert(text, type)
    except msgspec.ValidationError:
        return False
    return not text.endswith("\n")  # to Python, `$` also fits before a line break


def shown(**schema: Any) -> Meta:
    """Meta of what `requests.py` checks by itself, to answer a code of its own instead of `invalid_body`."""
    return Meta(extra_json_schema=schema)

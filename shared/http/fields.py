"""Types and limits of ids, names and numbers in requests. The same types check the input and describe it in OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.models.documents import DocumentStatus
from shared.models.runs import RunStatus

FILES_MAX = 20
FUNCTIONS_MAX = 64
SCHEMA_MAX_BYTES = 32 * 1024  # of the parameters of one function
METADATA_MAX = 16
METADATA_KEY_MAX_CHARS = 64
METADATA_VALUE_MAX_CHARS = 512
COLLECTION_MAX_CHARS = 200
PATH_MAX_CHARS = 1024
PAGE_MAX = 100
PAGE_DEFAULT = 20
BIG_PAGE_MAX = 1_000  # in listings of documents and receipts
BIG_PAGE_DEFAULT = 100
RESULTS_MAX = 50
RESULTS_DEFAULT = 10
PLACE_NUMBER_MAX = 1_000_000
SECTION_MAX_CHARS = 2_000
FILTERS_MAX = 16  # filters in one `and` or `or`
FILTERS_DEPTH_MAX = 4
EXPIRY_MAX_DAYS = 365
SECONDS_MAX = 604_800
OUTPUTS_MAX = 128
WAIT_MAX_S = 600  # of `?wait=`; the app's own limit is lower
OUTPUTS_MAX_BYTES = 4 * 1024 * 1024  # all outputs of a request together

THREAD_ID = "^thread_[0-9a-f]{24}$"
ASSISTANT_NAME = "^[a-z0-9][a-z0-9_-]{0,63}$"

RunId = Annotated[
    str,
    Meta(pattern="^run_[0-9a-f]{24}$", description="The run's id.", examples=["run_e6a5c1b2d3f405162738495a"]),
]
ThreadId = Annotated[
    str, Meta(pattern=THREAD_ID, description="The thread's id.", examples=["thread_e6a5c1b2d3f405162738495a"])
]
HookId = Annotated[
    str,
    Meta(pattern="^hook_[0-9a-f]{24}$", description="The hook's id.", examples=["hook_e6a5c1b2d3f405162738495a"]),
]
AssistantName = Annotated[
    str,
    Meta(
        pattern=ASSISTANT_NAME,
        description="The assistant's name: lowercase letters, digits, - and _.",
        examples=["default"],
    ),
]
FunctionName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$", examples=["get_weather"])]
CollectionName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=COLLECTION_MAX_CHARS,
        description="The collection: a top-level folder of the container 'documents'.",
        examples=["default"],
    ),
]
DocumentPath = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=PATH_MAX_CHARS,
        description="The document's path in the container 'documents', as collection/path. It may contain slashes, "
        "also encoded as %2F.",
        examples=["reports/guide.md"],
    ),
]
PlaceNumber = Annotated[
    int, Meta(ge=1, le=PLACE_NUMBER_MAX, description="Only the page or slide with this number; the first one is 1.")
]
SectionName = Annotated[
    str, Meta(min_length=1, max_length=SECTION_MAX_CHARS, description="Only the sections with this heading.")
]
ChartNumber = Annotated[int, Meta(ge=1, description="The chart's number; the first chart is 1.", examples=[1])]
Status = Annotated[RunStatus, Meta(description="Only runs with this status.")]
DocumentState = Annotated[DocumentStatus, Meta(description="Only documents with this status.")]
Prefix = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=PATH_MAX_CHARS,
        description="The folder, with a slash at the end.",
        examples=["reports/2024/"],
    ),
]
ReportId = Annotated[
    str, Meta(pattern="^rec_[0-9a-f]{24}$", description="The report's id.", examples=["rec_e6a5c1b2d3f405162738495a"])
]
DryRun = Annotated[bool, Meta(description="true, the default: report only. false: repair.")]
BigLimit = Annotated[
    int, Meta(ge=1, le=BIG_PAGE_MAX, description=f"The maximum number of items; default {BIG_PAGE_DEFAULT}.")
]
Wait = Annotated[
    int,
    Meta(
        ge=0,
        le=WAIT_MAX_S,
        description="Seconds to wait for a change before the answer is sent; the app's own limit may be lower.",
    ),
]
Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX, description=f"The maximum number of items; default {PAGE_DEFAULT}.")]
Cursor = Annotated[
    str, Meta(pattern="^[!-~]{1,2000}$", description="The `cursor` of the previous page; without it, the first page.")
]
IdempotencyKey = Annotated[
    str,
    Meta(
        pattern="^[ -~]{1,255}$",
        description="A repeated request with the same key returns the same run instead of starting another.",
    ),
]

ETAGS = r'^(\*|("[!#-)+-~]+"|[0-9A-Za-z]+)([ \t]*,[ \t]*("[!#-)+-~]+"|[0-9A-Za-z]+)){0,19})$'
EtagList = Annotated[str, Meta(pattern=ETAGS, max_length=2_000)]
IfMatch = Annotated[
    EtagList, Meta(description="Only if the blob has this etag; * for any. Otherwise 412, and nothing is changed.")
]
IfNoneMatch = Annotated[
    EtagList, Meta(description="Only if the blob does not have this etag; * if there is none. Otherwise 412.")
]


OpenapiVersion = Literal["3.0", "3.1"]
DescribedVersion = Annotated[
    OpenapiVersion, Meta(description="The version of OpenAPI; default 3.0. Only 3.1 has webhooks.")
]


def fits(text: str, type: Any) -> bool:
    """Whether a text from a URL or header matches the type."""
    try:
        msgspec.convert(text, type)
    except msgspec.ValidationError:
        return False
    return not text.endswith("\n")  # in Python, `$` also matches before a final line break


def schema_only(**schema: Any) -> Meta:
    """Schema keywords that msgspec does not check. Our own check raises an error with a more exact code."""
    return Meta(extra_json_schema=schema)

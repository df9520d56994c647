"""DOC."""

from __future__ import annotations

from hashlib import sha256

from shared.models.runs import Failure, Run, RunSummary
from shared.storage.records import pack

QUESTION_MAX_CHARS = 200  # of a question in listings
CANCELLED = Failure(code="cancelled", message="The run was cancelled.")


def marker(run_id: str) -> str:
    """An empty blob that stands as long as a run goes on: what the sweep has to look through."""
    return f"active/{run_id}"


def digest(output: str) -> str:
    return sha256(output.encode()).hexdigest()[:16]


def tags_of(run: Run) -> dict[str, str]:
    summary = RunSummary(
        id=run.id,
        thread_id=run.thread_id,
        status=run.status,
        question=run.question[:QUESTION_MAX_CHARS],
        created_at=run.created_at,
        finished_at=run.finished_at,
    )
    return {"summary": pack(summary)}

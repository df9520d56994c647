"""The command line keeps its own lists, so that it starts without the app's code."""

from __future__ import annotations

from typing import get_args

from local.options import STATUSES_OF_DOCUMENTS, STATUSES_OF_RUNS
from shared.models.documents import DocumentStatus
from shared.models.runs import RunStatus


def test_it_knows_every_status() -> None:
    assert set(STATUSES_OF_RUNS) == set(get_args(RunStatus))
    assert set(STATUSES_OF_DOCUMENTS) == set(get_args(DocumentStatus))

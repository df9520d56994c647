"""DOC."""

from __future__ import annotations

from datetime import timedelta

START_CLAIM = timedelta(seconds=30)  # longer than a request that starts something may take
OVERDUE = timedelta(seconds=15)  # a look that is so late was lost
ORPHAN = timedelta(minutes=5)  # a marker of that age without a record belongs to a request that died
CANCEL_GRACE = timedelta(seconds=30)  # for the service to stop what was cancelled

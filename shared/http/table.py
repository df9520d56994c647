"""Every route of the app, once: openapi.py makes both documents of it, tests hold it against function_app.py.

What comes in is checked by the very types that stand here, so that the description cannot promise something else.
"""

from __future__ import annotations

from shared.http.about import OPEN, OPERATING
from shared.http.assistants import ASSISTANTS
from shared.http.collections import COLLECTIONS
from shared.http.documents import DOCUMENTS, SEARCH
from shared.http.hooks import HOOKS, SERVICE_EVENTS
from shared.http.reconcile import RECONCILE
from shared.http.route import Operation
from shared.http.runs import RUNS
from shared.http.threads import THREADS

OPERATIONS: tuple[Operation, ...] = (
    *RUNS,
    *THREADS,
    *ASSISTANTS,
    *DOCUMENTS,
    *RECONCILE,
    *SEARCH,
    *COLLECTIONS,
    *HOOKS,
    *OPERATING,
    *SERVICE_EVENTS,
    *OPEN,
)

"""All operations of the API, in the order of the description.

openapi.py and swagger.py are built from this table; tests compare it with the triggers of function_app.py. Requests are
checked with the same types that the table names, so the description and the checks cannot differ.
"""

from __future__ import annotations

from shared.http.about import ANONYMOUS, DEEP_HEALTH
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
    *DEEP_HEALTH,
    *SERVICE_EVENTS,
    *ANONYMOUS,
)

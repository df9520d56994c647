"""Every query of infra/ and the documentation passes Microsoft's language service and asks for what the app sends."""

import json
import re

import pytest

from local.paths import ROOT
from tests.infra import kusto
from tests.infra.app_facts import log_events, metrics, triggers
from tests.infra.tools import INFRA

QUERIES = kusto.queries()


@pytest.fixture
def service() -> None:
    if not kusto.SERVICE.exists():
        pytest.skip("`make setup` installs Microsoft's language service for queries (npm), which is missing.")


@pytest.mark.usefixtures("service")
def test_every_query_passes() -> None:
    assert len(QUERIES) > 5
    assert kusto.faults(QUERIES) == {}


@pytest.mark.usefixtures("service")
def test_a_fault_is_found() -> None:
    bad = {
        "words": "AppRequests | summarize first = min(TimeGenerated) | where first < ago(20m)",
        "column": "AppTraces | where Nothing == 1",
        "table": "NoSuchTable | take 1",
        "syntax": "AppTraces | where",
    }
    assert kusto.faults(bad).keys() == bad.keys()


def test_every_query_is_used_and_every_used_one_exists() -> None:
    files = {path.name for path in (INFRA / "queries").glob("*.kql")}
    text = "".join(path.read_text() for path in (INFRA / "modules").glob("*.bicep"))
    assert set(re.findall(r"loadTextContent\('\.\./queries/([\w.-]+)'\)", text)) == files


def test_the_alert_on_poison_counts_every_function_that_takes_poison() -> None:
    named = set(re.findall(r'"(fail_\w+)"', QUERIES["infra/queries/poison-messages.kql"]))
    taking = {name for name, trigger in triggers().items() if str(trigger.get("queueName")).endswith("-poison")}
    assert named == taking == {name for name in triggers() if name.startswith("fail_")}


def test_alerts_look_for_events_by_the_first_word_of_a_line() -> None:
    """Ids follow the event's name in the text, so no line is equal to it."""
    logged = log_events()
    for name, query in QUERIES.items():
        assert "Message in (" not in query, name
        for event in re.findall(r'"((?:run|document|push|search|collection)\.\w+)"', query):
            assert event in logged or f"{event.split('.')[0]}.%s" in logged, f"{name}: {event} is never logged"


def test_dead_notifications_are_counted() -> None:
    assert {"push.given_up", "push.refused"} <= set(
        re.findall(r'"([\w.]+)"', QUERIES["infra/queries/dead-callbacks.kql"])
    )


def test_every_metric_of_the_app_is_shown_and_every_shown_one_is_sent() -> None:
    shown = {
        name
        for query in QUERIES.values()
        if "AppMetrics" in query
        for name in re.findall(r'"([a-z]+\.[a-z_]+)"', query)
    }
    assert shown == metrics()


def test_what_alerts_count_is_not_sampled() -> None:
    """Sampling would thin out the records that alerts count. Their tables are named like the types of host.json."""
    sampling = json.loads((ROOT / "host.json").read_text())["logging"]["applicationInsights"]["samplingSettings"]
    whole = {f"App{type}s" for type in sampling["excludedTypes"].split(";")}
    alerts = re.findall(r"queries/([\w-]+\.kql)", (INFRA / "modules" / "alerts.bicep").read_text())
    read = {name for query in alerts for name in re.findall(r"\bApp[A-Z]\w+", QUERIES[f"infra/queries/{query}"])}
    assert read
    assert read <= whole

"""Storage is taken away while documents are dropped: all of them are indexed in the end, and none fails in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from local.client import Client
from local.stack.stack import Options, Stack
from tests.acceptance import storage
from tests.forked import forked
from tests.long import long_but
from tests.storage_proxy import Proxy, proxies_in_thread

FILES = 50
EVERY_MINUTE = "0 * * * * *"
RECOVERY_MAX_S = 400.0  # a ceiling: the delays of the app grow to minutes

pytestmark = pytest.mark.aside


class StackBehindProxies(Stack):
    """The host and the app reach storage through proxies; the test and Azurite's event feed do not."""

    def behind(self, blobs: Proxy, queues: Proxy) -> None:
        through = queues.connection_string(blobs.connection_string(self.azurite.connection_string))
        self.host.environ = {**(self.host.environ or {}), "AzureWebJobsStorage": through}


@pytest.fixture(scope="module")
def proxied(
    tmp_path_factory: pytest.TempPathFactory, plain_environ: dict[str, str]
) -> Iterator[tuple[Stack, list[Proxy]]]:
    folder = Path(tmp_path_factory.mktemp("outage"))
    stack = StackBehindProxies(
        Options(data=folder / "data", logs=folder / "logs"), environ={**plain_environ, "SWEEP_SCHEDULE": EVERY_MINUTE}
    )
    with proxies_in_thread(stack.ports["blobs"], stack.ports["queues"]) as proxies:
        stack.behind(*proxies)
        with forked(stack):
            yield stack, proxies


@pytest.mark.parametrize("seconds", long_but([1, 10, 60], 1))
@pytest.mark.parametrize("kind", ["cut", "403"])
def test_documents_dropped_during_an_outage(
    proxied: tuple[Stack, list[Proxy]], kind: Literal["cut", "403"], seconds: int
) -> None:
    stack, proxies = proxied
    collection = f"{kind}-{seconds}"
    paths = [f"{collection}/{n}.md" for n in range(FILES)]
    with Client(stack.app_url, storage=stack.azurite.connection_string) as client:
        for proxy in proxies:
            proxy.outage = kind
        for path in paths:
            client.drop_bytes(f"The code of {path} is {len(path)}.".encode(), path)
        time.sleep(seconds)  # the outage itself
        for proxy in proxies:
            proxy.outage = None
        seen: dict[str, set[str]] = {path: set() for path in paths}

        def all_indexed() -> bool:
            documents: list[dict[str, Any]] = client.documents(collection)
            for document in documents:
                seen[document["path"]].add(document["status"])
            return [document["status"] for document in documents].count("indexed") == FILES

        storage.wait_until(all_indexed, within_s=RECOVERY_MAX_S)
        assert not [path for path, statuses in seen.items() if "failed" in statuses]
        last = client.get(f"/api/documents/{paths[-1]}")
        assert "failed" not in [attempt["status"] for attempt in last["attempts"]]

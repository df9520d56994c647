"""A tab of Chromium for the tests of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.local.browser.chromium import Page, browser, tab


@pytest.fixture(scope="package")
def devtools() -> Iterator[str]:
    """Of a Chromium for all tests here: its start costs a second of processor time."""
    with browser() as address:
        yield address


@pytest.fixture
async def page(devtools: str) -> AsyncIterator[Page]:
    """A tab of desktop size. Its console has no error at the end."""
    async with tab(devtools) as page:
        await page.size(1200, 800)
        yield page
        assert page.problems == []

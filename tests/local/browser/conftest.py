"""A tab of Chromium for the tests of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.local.browser.chromium import Page, chromium


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A tab of desktop size. Its console has no error at the end."""
    async with chromium() as page:
        await page.size(1200, 800)
        yield page
        assert page.problems == []

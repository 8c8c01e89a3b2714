"""The start page, in every way that somebody may look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.accessibility import violations
from tests.browser.chromium import EVERY_LOOK, Look
from tests.browser.site import Site


@pytest.mark.parametrize("look", EVERY_LOOK, ids=str)
def test_the_start_page_has_no_barrier(
    shared: Site, contexts: Callable[[Look], BrowserContext], look: Look
) -> None:
    page = contexts(look).new_page()
    page.goto(shared.address)
    assert page.get_by_role("heading", level=1).is_visible()
    assert violations(page) == []

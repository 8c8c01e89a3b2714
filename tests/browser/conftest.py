"""One Chromium and one server for a worker's browser tests; a browser context for each visitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser import chromium
from tests.browser.chromium import WIDE, Look
from tests.browser.site import Site, site
from tests.browser.watch import Watch

PATIENCE_MS = 5_000  # for what a page shows; a page that needs longer is broken

Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium.executable(), args=list(chromium.FLAGS)
        )
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a server that tests share: none of them breaks it, and each has people of its own."""
    with site(tmp_path_factory.mktemp("shared") / "home") as opened:
        yield opened


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fail the test when something happened in a page of it that must not."""
    watching = Watch()
    yield watching
    assert watching.problems == []


@pytest.fixture
def contexts(browser: Browser, watch: Watch) -> Iterator[Callable[[Look], BrowserContext]]:
    """Give contexts of the browser, each a visitor with cookies and storage of its own."""
    with ExitStack() as opened:

        def context(look: Look = WIDE) -> BrowserContext:
            made = browser.new_context(**look.options())
            opened.callback(made.close)
            made.set_default_timeout(PATIENCE_MS)
            watch.over(made)
            return made

        yield context

"""One Chromium and one server for a worker's browser tests; a browser context for each visitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser import chromium
from tests.browser.chromium import WIDE, Look
from tests.browser.faces import Face, Visitor
from tests.browser.site import Site, site
from tests.browser.watch import Watch
from withhold.web.sessions import COOKIE

PATIENCE_MS = 5_000  # for what a page shows; a page that needs longer is broken

Contexts = Callable[..., BrowserContext]
Visit = Callable[..., Visitor]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark browser tests; `make quick` takes each with its first look, `make test` with all."""
    first: dict[tuple[Path, str], Look] = {}
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        look = item.callspec.params.get("look") if hasattr(item, "callspec") else None
        if (
            isinstance(look, Look)
            and first.setdefault((item.path, item.originalname), look) != look
        ):
            item.add_marker(pytest.mark.slow)


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
def contexts(browser: Browser, watch: Watch) -> Iterator[Contexts]:
    """Give contexts of the browser, each a visitor with cookies and storage of its own."""
    with ExitStack() as opened:

        def context(look: Look = WIDE) -> BrowserContext:
            made = browser.new_context(**look.options())
            opened.callback(made.close)
            made.set_default_timeout(PATIENCE_MS)
            watch.over(made)
            return made

        yield context


@pytest.fixture
def visit(contexts: Contexts) -> Visit:
    """Give visitors who are signed in, each in a browser of its own, in front of a switch."""

    def visitor(
        site: Site,
        account: str,
        face: Face,
        look: Look = WIDE,
        *,
        is_told: bool = True,
        may_install: bool = True,
    ) -> Visitor:
        context = contexts(look)
        if not is_told:
            untold(context)
        if not may_install:
            context.add_init_script(WITHOUT_WORKER)
        signed_in(site, context, account)
        return Visitor(site, face, context.new_page()).open()

    return visitor


# once a service worker controls a page, its requests may pass by the routes of a test
WITHOUT_WORKER = """if (navigator.serviceWorker) {
  navigator.serviceWorker.register = () => Promise.reject(new Error("not here"));
}"""


def untold(context: BrowserContext) -> None:
    """Leave the pages of a context without news: they ask for it and are never answered."""
    context.route("**/events?*", lambda _: None)


def signed_in(site: Site, context: BrowserContext, account: str) -> str:
    """Sign an account in within a browser context; return the id of the session."""
    session_id = site.session(account)
    context.add_cookies(
        [
            {
                "name": COOKIE,
                "value": session_id,
                "url": site.address,
                "httpOnly": True,
                "sameSite": "Lax",
            }
        ]
    )
    return session_id

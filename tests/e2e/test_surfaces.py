"""The pages over a real server: another process changes something, a page is told, the server ends."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.e2e.server import WITHHOLD, Server, environment, running
from tests.simulator import Provider
from withhold.web import figures
from withhold.web.figures import Figures

ACCOUNT = "vibe-free-1"  # one that the demo offers


class Browser:
    """One browser: cookies, pages, and what it listens to."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.Client(base_url=server.address, timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def post(self, path: str, **form: str) -> httpx.Response:
        headers = {"Origin": str(self.client.base_url).rstrip("/")}
        return self.client.post(path, data=form, headers=headers)

    def sign_in(self) -> Browser:
        page = self.client.get("/sign-in").text
        assert self.post("/sign-in", csrf=field(page, "csrf"), account=ACCOUNT).status_code == 303
        return self

    def sign_out(self) -> None:
        token = field(self.client.get("/console/vibe").text, "csrf")
        assert self.post("/sign-out", csrf=token).status_code == 303

    def turn_off(self) -> None:
        page = self.client.get("/console/vibe").text
        form = {name: field(page, name) for name in ("csrf", "notice")}
        answer = self.post("/console/vibe", product="vibe", allowed="off", **form)
        assert answer.status_code == 303

    def is_on(self, path: str = "/console/vibe") -> bool:
        found = re.search(r'aria-checked="(true|false)"', self.client.get(path).text)
        assert found is not None
        return found[1] == "true"

    @contextmanager
    def listening(self) -> Iterator[Iterator[str]]:
        """Listen as the page does; yields lines once the server says that it has begun."""
        found = re.search(r'hx-sse:connect="([^"]+)"', self.client.get("/console/vibe").text)
        assert found is not None
        with self.client.stream("GET", found[1].replace("&amp;", "&")) as events:
            assert events.headers["content-type"].startswith("text/event-stream")
            lines = events.iter_lines()
            assert next(lines) == ": listening"
            yield lines


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


def until(lines: Iterator[str], wanted: str) -> float:
    """Read until a line comes; return when that was."""
    for line in lines:
        if line == wanted:
            return time.monotonic()
    pytest.fail("the connection ended first")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of which the pages believe that it holds the demo."""
    home = tmp_path / "home"
    provider = Provider(home)
    provider.sign_up(ACCOUNT)
    provider.close()
    figures.write(home, Figures(True))
    return home


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with running(home) as started:
        yield started.ready()


def command(home: Path, *words: str) -> None:
    run = [*WITHHOLD, *words]
    subprocess.run(run, env=environment(home), check=True, capture_output=True, timeout=60)


def test_s1_a_change_by_another_process_reaches_an_open_page_within_a_second(
    home: Path, server: Server
) -> None:
    with Browser(server).sign_in() as browser, browser.listening() as lines:
        assert browser.is_on()
        command(home, "opt-out", ACCOUNT, "--product", "vibe")
        done = time.monotonic()
        assert until(lines, "event: standing") - done < 1.0
        assert not browser.is_on("/console/vibe")
        assert not browser.is_on("/m/data-controls")


def test_s1_a_change_by_another_server_reaches_an_open_page_within_a_second(
    home: Path, server: Server
) -> None:
    with Browser(server).sign_in() as browser, browser.listening() as lines, running(home) as two:
        with Browser(two.ready()) as other:
            other.client.cookies = browser.client.cookies  # one session, two workers
            other.turn_off()
            done = time.monotonic()
            assert until(lines, "event: standing") - done < 1.0
        assert two.end() == 0


def test_s1_an_opt_out_on_a_page_stands_after_a_restart(home: Path, server: Server) -> None:
    with Browser(server).sign_in() as browser:
        browser.turn_off()
        assert server.end() == 0
        with running(home) as again, Browser(again.ready()) as later:
            later.client.cookies = browser.client.cookies  # sessions outlive a restart too
            assert not later.is_on("/console/vibe")
            assert not later.is_on("/m/data-controls")
            assert again.end() == 0


def test_the_server_ends_at_once_although_pages_listen(server: Server) -> None:
    with Browser(server).sign_in() as browser, ExitStack() as stack:
        pages = [stack.enter_context(browser.listening()) for _ in range(3)]
        began = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - began < 5
        for lines in pages:
            assert list(lines) in ([""], []), "nothing is said: the page comes back by itself"


def test_signing_out_ends_what_listens(server: Server) -> None:
    with Browser(server).sign_in() as browser, browser.listening() as lines:
        browser.sign_out()
        until(lines, "event: ended")
        assert list(lines)[-1:] in ([""], [])

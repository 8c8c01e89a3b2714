"""The pages over a real server: another process changes something, a page is told, the server ends."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.e2e.server import MAIN, Server, environment, running
from tests.simulator import Provider
from withhold.web import figures
from withhold.web.figures import Figures

ACCOUNT = "vibe-free-1"  # one that the demo offers
LABEL = "Allow your interactions to be used to train our models"


class Browser:
    """Cookies, and one request at a time."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self.cookies: dict[str, str] = {}

    def open(
        self, method: str, path: str, form: dict[str, str] | None = None
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = f"http://{self.host}"
        connection.request(method, path, urlencode(form) if form is not None else None, headers)
        answer = connection.getresponse()
        for cookie in answer.headers.get_all("set-cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def text(self, path: str) -> str:
        answer = self.open("GET", path)
        assert answer.status == 200, path
        return answer.read().decode()

    def sign_in(self) -> None:
        page = self.text("/sign-in")
        form = {"csrf": field(page, "csrf"), "account": ACCOUNT}
        assert self.open("POST", "/sign-in", form).status == 303

    def is_on(self, path: str = "/console/vibe") -> bool:
        found = re.search(r'aria-checked="(true|false)"', self.text(path))
        assert found is not None
        return found[1] == "true"


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


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
        yield started


def command(home: Path, *words: str) -> None:
    run = [sys.executable, "-c", MAIN, *words]
    subprocess.run(run, env=environment(home), check=True, capture_output=True, timeout=60)


def listen(browser: Browser) -> http.client.HTTPResponse:
    """Begin to listen as the page does, and return once the server says that it has begun."""
    page = browser.text("/console/vibe")
    found = re.search(r'hx-sse:connect="([^"]+)"', page)
    assert found is not None
    events = browser.open("GET", found[1].replace("&amp;", "&"))
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.readline() == b": listening\n"
    return events


def until(events: http.client.HTTPResponse, line: bytes) -> float:
    """Read until a line comes; return when that was."""
    while True:
        got = events.readline()
        assert got, "the connection ended first"
        if got == line:
            return time.monotonic()


def test_s1_a_change_by_another_process_reaches_an_open_page_within_a_second(
    home: Path, server: Server
) -> None:
    browser = Browser(server.address)
    browser.sign_in()
    assert browser.is_on()
    events = listen(browser)
    command(home, "opt-out", ACCOUNT, "--product", "vibe")
    done = time.monotonic()
    assert until(events, b"event: standing\n") - done < 1.0
    assert not browser.is_on("/console/vibe")
    assert not browser.is_on("/m/data-controls")


def test_s1_a_change_by_another_server_reaches_an_open_page_within_a_second(
    home: Path, server: Server
) -> None:
    browser = Browser(server.address)
    browser.sign_in()
    events = listen(browser)
    with running(home) as second:
        other = Browser(second.address)
        other.cookies = browser.cookies  # one session, two workers
        page = other.text("/console/vibe")
        form = {name: field(page, name) for name in ("csrf", "notice")}
        form |= {"product": "vibe", "allowed": "off"}
        assert other.open("POST", "/console/vibe", form).status == 303
        done = time.monotonic()
        assert until(events, b"event: standing\n") - done < 1.0
        assert second.end() == 0


def test_s1_an_opt_out_on_a_page_stands_after_a_restart(home: Path, server: Server) -> None:
    browser = Browser(server.address)
    browser.sign_in()
    page = browser.text("/console/vibe")
    form = {name: field(page, name) for name in ("csrf", "notice")}
    browser.open("POST", "/console/vibe", {**form, "product": "vibe", "allowed": "off"})
    assert server.end() == 0
    with running(home) as again:
        later = Browser(again.address)
        later.cookies = browser.cookies  # sessions outlive a restart too
        assert not later.is_on("/console/vibe")
        assert not later.is_on("/m/data-controls")
        assert again.end() == 0


def test_the_server_ends_at_once_although_pages_listen(server: Server) -> None:
    browser = Browser(server.address)
    browser.sign_in()
    pages = [listen(browser) for _ in range(3)]
    began = time.monotonic()
    assert server.end() == 0
    assert time.monotonic() - began < 5
    for events in pages:
        assert events.read() in {b"\n", b""}, "nothing is said: the page comes back by itself"


def test_signing_out_ends_what_listens(server: Server) -> None:
    browser = Browser(server.address)
    browser.sign_in()
    events = listen(browser)
    token = field(browser.text("/console/vibe"), "csrf")
    assert browser.open("POST", "/sign-out", {"csrf": token}).status == 303
    until(events, b"event: ended\n")

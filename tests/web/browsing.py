"""Somebody at a browser, in process: opens pages, presses what is on them, with scripts or without.

`Person.press` finds a control by its role and accessible name and sends exactly what its form says, so a
test that turns a switch goes through the page that people see. With ``scripts`` it sends what htmx would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx
from litestar.testing import TestClient

ORIGIN = "http://testserver.local"


@dataclass
class Element:
    """A start tag with the text below it."""

    tag: str
    attributes: dict[str, str]
    form: Element | None
    text: str = ""
    fields: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.attributes.get(name, "")


_VOID = frozenset({"input", "link", "meta", "img", "br"})


class Page(HTMLParser):
    """A page as assistive technology sees it: elements with roles, names and descriptions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        form = next((e for e in reversed(self._open) if e.tag == "form"), None)
        element = Element(tag, {name: value or "" for name, value in attrs}, form)
        self.elements.append(element)
        if tag == "input" and form is not None:
            form.fields[element["name"]] = element["value"]
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    @property
    def text(self) -> str:
        """All text of the body, with single spaces."""
        body = next((e for e in self.elements if e.tag == "body"), None)
        return said(body.text if body else "".join(e.text for e in self.elements[:1]))

    def by_id(self, name: str) -> Element:
        (element,) = [e for e in self.elements if e["id"] == name]
        return element

    def all(self, role: str) -> list[Element]:
        implied = {"button": "button", "link": "a", "heading": ("h1", "h2", "h3", "h4")}
        tags = implied.get(role, ())
        return [
            e
            for e in self.elements
            if e["role"] == role or (not e["role"] and e.tag in (tags or ("-",)))
        ]

    def name_of(self, element: Element) -> str:
        if element["aria-labelledby"]:
            return said(" ".join(self.by_id(i).text for i in element["aria-labelledby"].split()))
        return said(element["aria-label"] or element.text)

    def described(self, element: Element) -> str:
        return said(" ".join(self.by_id(i).text for i in element["aria-describedby"].split()))

    def control(self, role: str, name: str | None = None) -> Element:
        found = [e for e in self.all(role) if name is None or self.name_of(e) == name]
        assert len(found) == 1, f"{len(found)} of role {role} named {name!r}"
        return found[0]

    def has(self, role: str, name: str) -> bool:
        return any(self.name_of(e) == name for e in self.all(role))

    def links(self) -> dict[str, str]:
        return {self.name_of(e): e["href"] for e in self.all("link")}


def said(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


class Person:
    """One browser with its own cookies."""

    def __init__(self, application: TestClient[Any], *, scripts: bool = False) -> None:
        self._client = application
        self._cookies = httpx.Cookies()
        self.scripts = scripts
        self.answer: httpx.Response
        self.page: Page
        self.address = "/"

    def copy(self) -> Person:
        """Return another tab: the same cookies, the page as it is shown now."""
        other = Person(self._client, scripts=self.scripts)
        other._cookies, other.address = self._cookies, self.address
        other.answer, other.page = self.answer, self.page
        return other

    def sign_in(self, account: str, next_page: str = "/console") -> Person:
        self.open(f"/sign-in?next={next_page}")
        self.press("button", account, exact=False)
        assert self.address.startswith(next_page), self.answer.text
        return self

    def open(self, path: str) -> Page:
        return self._shown(self.send("GET", path), path)

    def press(self, role: str, name: str, *, exact: bool = True) -> Page:
        page = self.page
        if exact:
            element = page.control(role, name)
        else:
            element = next(e for e in page.all(role) if page.name_of(e).startswith(name))
        assert element["aria-disabled"] != "true", "an element that is disabled does nothing"
        form = element.form
        assert form is not None, "a button without a form does nothing"
        fields = dict(form.fields)
        if element["name"]:
            fields[element["name"]] = element["value"]
        how = {"params": fields} if form["method"] == "get" else {"data": fields}
        answer = self.send(form["method"].upper(), form["action"], **how)
        return self._shown(answer, form["action"])

    def keep(self, receipt: str) -> httpx.Response:
        """Open the page of a receipt and return the file that it gives."""
        links = self.open(receipt).links()
        return self.send("GET", urljoin(receipt, links["Keep the file"]))

    def send(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Send a request as this browser would; ``headers`` replace those it sends."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        if method != "GET":
            headers["Origin"] = ORIGIN
        if self.scripts and not path.startswith("/sign-"):
            headers["HX-Request"] = "true"
            headers["HX-Current-URL"] = ORIGIN + self.address
        headers |= how.pop("headers", {})
        sent = {name: value for name, value in headers.items() if value is not None}
        self._client.cookies = self._cookies
        self.answer = self._client.request(
            method, path, headers=sent, follow_redirects=False, **how
        )
        self._cookies = httpx.Cookies(self._client.cookies)
        self._client.cookies = httpx.Cookies()
        return self.answer

    def _shown(self, answer: httpx.Response, path: str) -> Page:
        """Follow one redirect, as browsers do, and take in what is shown."""
        if answer.status_code == 303:
            return self.open(answer.headers["location"].partition("#")[0])
        if not self.scripts or "<html" in answer.text:
            self.address = path
        self.page = Page(answer.text)
        return self.page

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._cookies.jar}

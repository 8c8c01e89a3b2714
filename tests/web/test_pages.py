"""The start page, the API document, health."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from tests.web.conftest import Api
from withhold.web import figures
from withhold.web.application import API
from withhold.web.figures import Figures, PlanFigures


class Page(HTMLParser):
    """Collects what a strict policy would have to allow."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]


def parsed(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page


def test_the_start_page_says_what_is_running_without_a_token(api: Api) -> None:
    answered = api.client.get("/")
    assert answered.status_code == 200
    assert "position 1" in answered.text
    assert str(api.home) in answered.text
    assert "There is no dataset yet" in answered.text


def test_the_start_page_needs_no_script_and_nothing_inline(api: Api) -> None:
    answered = api.client.get("/")
    policy = answered.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = parsed(answered.text)
    assert not {"script", "style", "iframe", "form"} & set(page.tags)
    assert "style" not in page.attributes
    assert not [name for name in page.attributes if name.startswith("on")]


def test_no_link_of_the_start_page_is_dead(api: Api) -> None:
    for link in parsed(api.client.get("/").text).links:
        assert api.client.get(link).status_code == 200, link


def test_the_start_page_shows_datasets_and_the_demo_escaped(api: Api) -> None:
    api.account("ana")
    api.chat("ana-1", "ana")
    api.build()
    hostile = "<script>alert(1)</script>"
    plan = PlanFigures("Vibe", hostile, 2, 9, {"plan_locked": 4}, 3, {"account_off": 2})
    figures.write(api.home, Figures(True, ["chat@1"], [plan]))
    text = api.client.get("/").text
    assert "chat@1" in text
    assert "4 plan locked" in text
    assert hostile not in text
    assert "&lt;script&gt;" in text


def test_a_damaged_figures_file_is_no_error(api: Api) -> None:
    (api.home / figures.FILE).write_text("{")
    assert api.client.get("/").status_code == 200


def test_static_files_are_the_pages_own_only(api: Api) -> None:
    assert api.client.get("/static/withhold.css").headers["content-type"].startswith("text/css")
    for name in ("..%2Fpage.py", "page.py", "%2e%2e/page.py"):
        assert api.client.get(f"/static/{name}").status_code == 404


def test_health_answers_with_the_head(api: Api) -> None:
    answered = api.client.get("/healthz")
    assert (answered.status_code, answered.json()["position"]) == (200, 1)


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_api_document_describes_every_route(api: Api) -> None:
    document = api.client.get("/v1/openapi.json").json()
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    served = {
        (method, "/v1" + re.sub(r":str", "", next(iter(handler.paths))))
        for handler in API
        for method in handler.http_methods - {"HEAD", "OPTIONS"}
    }
    assert described == served
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert {"200", "401", "403"} <= set(operation["responses"])


def test_every_reference_of_the_api_document_leads_somewhere(api: Api) -> None:
    document = api.client.get("/v1/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document["paths"]) <= known


def test_path_parameters_are_declared(api: Api) -> None:
    document = api.client.get("/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            stated = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert stated == set(re.findall(r"\{(\w+)\}", path))

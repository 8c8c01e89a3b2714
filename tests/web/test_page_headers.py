"""What every page of the surfaces sends along, and how its own files are served."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.web.browsing import Page
from tests.web.surfaces import VIBE, VIBE_LABEL, Surfaces
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId
from withhold.services import builds, capture
from withhold.web import static

PAGES = [
    "/sign-in",
    "/console/vibe",
    "/console/privacy",
    "/console/data",
    "/console/history",
    "/console/organizations/org-scale/privacy",
    "/console/nothing",
    "/m",
    "/m/data-controls",
    "/m/data",
    "/m/history",
    "/m/nothing",
    "/m/offline",
]


def policy_of(text: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in text.split(";"))
    return {name: value for name, _, value in parts}


@pytest.mark.parametrize("address", PAGES)
def test_a_page_lets_in_its_own_files_and_nothing_inline(surfaces: Surfaces, address: str) -> None:
    person = surfaces.person("boss")
    page = person.open(address)
    headers = person.answer.headers
    policy = policy_of(headers["content-security-policy"])
    assert policy.pop("default-src") == "'none'"
    assert policy.pop("base-uri") == policy.pop("frame-ancestors") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    tags = {element.tag for element in page.elements}
    assert not tags & {"style", "iframe", "object", "embed", "base"}
    for element in page.elements:
        inline = [n for n in element.attributes if n == "style" or n.startswith("on")]
        assert not inline, element
        assert not [n for n in element.attributes if n.startswith(("hx-on", "hx-vals"))]
    if "script" in tags:
        assert policy["script-src"] == "'self'"
    else:
        assert "script-src" not in policy
        assert "connect-src" not in policy


@pytest.mark.parametrize("address", PAGES)
def test_no_link_and_no_file_of_a_page_is_dead(surfaces: Surfaces, address: str) -> None:
    person = surfaces.person("boss")
    page = person.open(address)
    named = {e[a] for e in page.elements for a in ("href", "src") if e[a]}
    for link in sorted(named - {"#content"}):
        assert person.send("GET", link).status_code in {200, 303}, link


def test_htmx_is_told_to_inject_no_style_and_the_pages_never_let_it_evaluate(
    surfaces: Surfaces,
) -> None:
    for address in ("/console/vibe", "/m/data-controls"):
        page = surfaces.person("free").open(address)
        config = next(e for e in page.elements if e["name"] == "htmx-config")["content"]
        assert '"includeIndicatorCSS": false' in config
        for element in page.elements:
            for name, value in element.attributes.items():
                if name.startswith("hx-"):
                    assert not value.startswith(("js:", "javascript:"))
                    assert "[" not in value, "a filter of a trigger would be evaluated"


def test_the_first_page_is_small_over_the_wire(surfaces: Surfaces) -> None:
    for address in ("/console/vibe", "/m"):
        person = surfaces.person("free")
        page = person.open(address)
        total = len(person.answer.content)
        files = {e[a] for e in page.elements for a in ("href", "src") if "/static/" in e[a]}
        for link in files | {static.address("vendor/inter.woff2")}:
            name = link.split("/", 3)[3]
            known = static.statics().files[name]
            total += len(known.packed or known.content)
        assert total < 120 * 1024, total


def test_files_have_the_hash_of_their_content_in_the_address_and_are_kept(
    surfaces: Surfaces,
) -> None:
    person = surfaces.visitor()
    for name, known in static.statics().files.items():
        answer = person.send("GET", static.address(name), headers={"Accept-Encoding": "gzip"})
        assert answer.content == known.content
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (answer.headers.get("content-encoding") == "gzip") == (known.packed is not None)
        if known.packed is not None:
            assert gzip.decompress(known.packed) == known.content


def test_a_browser_that_takes_no_gzip_is_sent_none(surfaces: Surfaces) -> None:
    answer = surfaces.visitor().send(
        "GET", static.address("base.css"), headers={"Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in answer.headers
    assert answer.content == static.statics().files["base.css"].content


def test_the_address_of_another_release_is_served_and_not_kept(surfaces: Surfaces) -> None:
    answer = surfaces.visitor().send("GET", "/static/0123456789ab/base.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=300")


@pytest.mark.parametrize(
    "path",
    [
        "../page.py",
        "%2e%2e/page.py",
        "vendor/README.md",
        "vendor",
        "",
        "a/b/c.css",
    ],
)
def test_nothing_else_is_served(surfaces: Surfaces, path: str) -> None:
    for prefix in ("", static.statics().digest + "/"):
        answer = surfaces.visitor().send("GET", f"/static/{prefix}{path}")
        assert answer.status_code == 404


def test_files_that_a_style_sheet_names_are_there(surfaces: Surfaces) -> None:
    for name, known in static.statics().files.items():
        if name.endswith(".css"):
            for wanted in re.findall(r'url\("([^"]+)"\)', known.content.decode()):
                assert wanted in static.statics().files, f"{name}: {wanted}"


def test_pages_say_where_rows_are_and_hold_no_text_of_them(surfaces: Surfaces) -> None:
    secret = "a very particular sentence"
    row = Interaction(
        "r1",
        VIBE,
        InteractionKind.CONVERSATION,
        AccountId("free"),
        (Message("user", secret),),
    )
    capture.capture(surfaces.ports, [row])
    builds.build(surfaces.ports, "chat", row.product)
    person = surfaces.person("free")
    for address in PAGES:
        page: Page = person.open(address)
        assert secret not in page.source
    assert "1 dataset holds rows of yours now." in person.open("/console/vibe").text
    person.press("switch", VIBE_LABEL)
    assert "Removed from 1 of 1 dataset." in person.page.text
    assert "Dropped 1 row by position" in person.open("/m/data").text

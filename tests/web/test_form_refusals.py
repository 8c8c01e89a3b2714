"""Every unsafe route of the pages, against everybody who must not use it: generated from the routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.web.browsing import Person
from tests.web.surfaces import Surfaces
from withhold.web.application import PAGES

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

UNSAFE = sorted(
    (method, path)
    for handler in PAGES
    for path in handler.paths
    for method in handler.http_methods - SAFE
)
SESSIONLESS = ("POST", "/sign-in")
IN_A_SESSION = [route for route in UNSAFE if route != SESSIONLESS]

ADDRESS = {
    "/console/{slug:str}": "/console/vibe",
    "/console/organizations/{organization:str}/{slug:str}": (
        "/console/organizations/org-scale/privacy"
    ),
    "/m/{slug:str}": "/m/data-controls",
    "/sign-out": "/sign-out",
    "/sign-in": "/sign-in",
}
"""A real address for each; a new route needs a row here, so that it is in the matrix."""

FIELDS = {"product": "vibe", "allowed": "off", "notice": "2026-11-23"}
STUDIO_FIELDS = {**FIELDS, "product": "studio"}


def form_of(address: str, token: str | None) -> dict[str, str]:
    """Return a form that would be taken, were the rest of the request in order."""
    fields = STUDIO_FIELDS if "org-" in address else {} if "sign-" in address else FIELDS
    return {**fields} if token is None else {"csrf": token, **fields}


def token_of(person: Person) -> str:
    return next(e["value"] for e in person.page.elements if e["name"] == "csrf")


def state(surfaces: Surfaces) -> int:
    return surfaces.ports.ledger.head()


def test_every_unsafe_route_is_in_the_matrix() -> None:
    assert {path for _, path in UNSAFE} == set(ADDRESS)
    assert {method for method, _ in UNSAFE} == {"POST"}


@pytest.mark.parametrize(("method", "path"), IN_A_SESSION)
def test_the_form_of_the_matrix_would_be_taken(surfaces: Surfaces, method: str, path: str) -> None:
    boss = surfaces.person("boss")
    answer = boss.send(method, ADDRESS[path], data=form_of(ADDRESS[path], token_of(boss)))
    assert answer.status_code == 303, answer.text
    assert "sign-in?" not in answer.headers["location"]


@pytest.mark.parametrize(("method", "path"), IN_A_SESSION)
def test_nobody_who_is_not_signed_in_does_anything(
    surfaces: Surfaces, method: str, path: str
) -> None:
    token = token_of(surfaces.person("boss"))
    before = state(surfaces)
    for cookie in (None, "x" * 43, "not a session", ""):
        visitor = surfaces.visitor()
        headers = {} if cookie is None else {"Cookie": f"withhold_session={cookie}"}
        answer = visitor.send(
            method, ADDRESS[path], data=form_of(ADDRESS[path], token), headers=headers
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=")
    assert state(surfaces) == before


@pytest.mark.parametrize(("method", "path"), UNSAFE)
@pytest.mark.parametrize("scripts", [False, True], ids=["plain", "scripts"])
def test_a_form_without_the_token_of_its_session_is_refused(
    surfaces: Surfaces, method: str, path: str, scripts: bool
) -> None:
    other = token_of(surfaces.person("free"))
    boss = surfaces.person("boss", scripts=scripts)
    own = token_of(boss)
    before = state(surfaces)
    for token in (None, "", other, own[:-1], own + "0", own.upper(), "0" * 64, "ÿ"):
        answer = boss.send(method, ADDRESS[path], data=form_of(ADDRESS[path], token))
        assert answer.status_code == 403, token
        assert "Nothing was changed" in answer.text
    assert state(surfaces) == before
    assert boss.send("GET", "/console/vibe", headers={"HX-Request": None}).status_code == 200


FOREIGN: Mapping[str, Mapping[str, str | None]] = {
    "another origin": {"Origin": "https://evil.example", "Sec-Fetch-Site": None},
    "an origin of another port": {"Origin": "http://testserver.local:81", "Sec-Fetch-Site": None},
    "an origin that looks alike": {
        "Origin": "http://testserver.local.evil.example",
        "Sec-Fetch-Site": None,
    },
    "no origin to name": {"Origin": "null", "Sec-Fetch-Site": None},
    "another site": {"Origin": None, "Sec-Fetch-Site": "cross-site"},
    "a sister site": {"Origin": None, "Sec-Fetch-Site": "same-site"},
    "an address typed by hand": {"Origin": None, "Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize(("method", "path"), UNSAFE)
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_form_from_elsewhere_is_refused_whatever_it_carries(
    surfaces: Surfaces, method: str, path: str, headers: Mapping[str, str | None]
) -> None:
    boss = surfaces.person("boss")
    before = state(surfaces)
    form = form_of(ADDRESS[path], token_of(boss))
    answer = boss.send(method, ADDRESS[path], data=form, headers=dict(headers))
    assert answer.status_code == 403
    assert state(surfaces) == before


@pytest.mark.parametrize("account", ["free", "head", "teams"])
def test_the_switch_of_an_organization_of_others_is_not_there(
    surfaces: Surfaces, account: str
) -> None:
    person = surfaces.person(account)
    before = state(surfaces)
    said = set()
    for organization in ("org-scale", "nowhere"):
        address = f"/console/organizations/{organization}/privacy"
        answer = person.send("POST", address, data=form_of("org-", token_of(person)))
        said.add((answer.status_code, answer.text))
    assert len(said) == 1
    assert said.pop()[0] == 404
    assert state(surfaces) == before


@pytest.mark.parametrize(("account", "organization"), [("mia", "org-scale"), ("bill", "org-free")])
@pytest.mark.parametrize("allow", ["off", "on"])
def test_a_member_who_is_no_admin_turns_nothing_of_the_organizations(
    surfaces: Surfaces, account: str, organization: str, allow: str
) -> None:
    person = surfaces.person(account)
    before = state(surfaces)
    form = {
        "csrf": token_of(person),
        **STUDIO_FIELDS,
        "allowed": allow,
        "seen": "1",
        "key": "k" * 22,
    }
    if allow == "off":
        del form["seen"], form["key"]
    address = f"/console/organizations/{organization}/privacy"
    answer = person.send("POST", address, data=form)
    assert answer.status_code == 403
    assert f"Only an Admin of {organization.replace('-', ' ')} can change this" in answer.text
    assert state(surfaces) == before


BODIES: Mapping[str, Callable[[str], dict[str, object]]] = {
    "json": lambda token: {"json": {"csrf": token, **FIELDS}},
    "multipart": lambda token: {"data": {"csrf": token, **FIELDS}, "files": {"f": b"x"}},
    "no type": lambda token: {"content": f"csrf={token}&product=vibe&allowed=off"},
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_only_forms_are_taken(surfaces: Surfaces, body: Callable[[str], dict[str, object]]) -> None:
    person = surfaces.person("free")
    before = state(surfaces)
    answer = person.send("POST", "/console/vibe", **body(token_of(person)))
    assert answer.status_code == 415
    assert state(surfaces) == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"allowed=off&allowed=on", 400),
        (b"allowed=%ff", 400),
        (b"allowed=\xff", 400),
        (b"allowed", 400),
        (b"a=1&" * 20 + b"b=2", 400),
        (b"product=" + b"v" * 2_000, 413),
        (b"product=" + b"v" * 20_000, 413),
        (b"", 403),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_form_that_is_not_well_formed_is_refused(
    surfaces: Surfaces, content: bytes, status: int
) -> None:
    person = surfaces.person("free")
    before = state(surfaces)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = person.send("POST", "/console/vibe", content=content, headers=headers)
    assert answer.status_code == status
    assert state(surfaces) == before


def test_other_methods_are_not_taken(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    for method in ("PUT", "PATCH", "DELETE"):
        for address in ("/console/vibe", "/m/data-controls", "/sign-in"):
            assert person.send(method, address).status_code == 405

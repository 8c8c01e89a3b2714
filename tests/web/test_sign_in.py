"""Signing in: the demo's accounts on a home that holds the demo, nobody anywhere else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from litestar.testing import TestClient

from tests.web.browsing import ORIGIN, Person
from tests.web.conftest import Api
from tests.web.surfaces import PEOPLE, VIBE, Surfaces
from withhold import app, demo
from withhold.demo.load import load
from withhold.demo.people import COHORTS
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.domain.sessions import LIFETIME_MS
from withhold.services import erasure
from withhold.services.preferences import PreferenceRequest, set_preference
from withhold.web import figures
from withhold.web.figures import Figures


def test_without_a_demo_the_page_says_that_no_sign_in_is_configured(api: Api) -> None:
    api.account("ana")
    person = Person(api.client)
    page = person.open("/sign-in")
    assert person.answer.status_code == 200
    assert "No sign-in is configured" in page.text
    assert not page.all("button")
    assert page.links() == {"Start page": "/"}


def test_without_a_demo_nobody_gets_in_whatever_they_send(api: Api) -> None:
    api.account("ana")
    api.account("vibe-free-1")
    person = Person(api.client)
    person.open("/sign-in")
    for account in ("ana", "vibe-free-1", ""):
        token = person.cookies["withhold_sign_in"]
        person._client.base_url = ORIGIN  # type: ignore[assignment]
        answer = person.send("POST", "/sign-in", data={"csrf": token, "account": account})
        assert answer.status_code == 404
        assert "withhold_session" not in person.cookies


@pytest.mark.parametrize("done", [None, False, True])
def test_the_demos_accounts_are_offered_only_when_the_home_holds_the_whole_demo(
    tmp_path: Path, done: bool | None
) -> None:
    if done is not None:
        figures.write(tmp_path, Figures(done))
    offered = demo.offered(tmp_path)
    names = [each.account for group in offered for each in group.accounts]
    assert names == ([a for c in COHORTS for a in c.accounts] if done else [])


def test_the_accounts_are_grouped_by_plan_and_say_what_is_special(tmp_path: Path) -> None:
    figures.write(tmp_path, Figures(True))
    with (
        app.open_ports(tmp_path, make=True) as ports,
        TestClient(app.application(ports, tmp_path, demo.offered(tmp_path))) as client,
    ):
        load(ports, tmp_path, quiet=True)
        page = Person(client).open("/sign-in")
        erasure.erase(ports, AccountId("vibe-free-5"))
        assert not Person(client).open("/sign-in").has("button", "vibe-free-5 opted out")
    headings = [page.name_of(e) for e in page.all("heading")]
    assert headings[:3] == ["Sign in to the demo", "Vibe, Free", "Vibe, Pro"]
    assert "Vibe, Teams Demo Teams" in headings
    assert "Studio & API, Scale Demo Scale On, turned on by its Admin" in headings
    assert page.has("button", "vibe-teams-1 Admin")
    assert page.has("button", "vibe-free-5 opted out")


def test_only_an_account_that_is_offered_can_be_signed_in_as(surfaces: Surfaces) -> None:
    visitor = surfaces.visitor()
    visitor.open("/sign-in")
    token = visitor.cookies["withhold_sign_in"]
    for account in ("nobody", "", "FREE", "free "):
        answer = visitor.send("POST", "/sign-in", data={"csrf": token, "account": account})
        assert answer.status_code == 404
    assert "withhold_session" not in visitor.cookies
    assert visitor.send("GET", "/console").headers["location"].startswith("/sign-in")


def test_a_new_session_has_a_new_id_and_the_one_before_it_ends(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    first = person.cookies["withhold_session"]
    person.sign_in("pro")
    second = person.cookies["withhold_session"]
    assert first != second
    stolen = surfaces.visitor()
    answer = stolen.send("GET", "/console/vibe", headers={"Cookie": f"withhold_session={first}"})
    assert answer.status_code == 303


def test_an_id_that_was_there_before_signing_in_is_worth_nothing(surfaces: Surfaces) -> None:
    planted = "A" * 43
    person = surfaces.visitor()
    person._cookies.set("withhold_session", planted, domain="testserver.local", path="/")
    person.sign_in("free")
    assert person.cookies["withhold_session"] != planted
    thief = surfaces.visitor()
    answer = thief.send("GET", "/console", headers={"Cookie": f"withhold_session={planted}"})
    assert answer.headers["location"].startswith("/sign-in")


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(surfaces: Surfaces) -> None:
    person = surfaces.visitor()
    person.open("/sign-in")
    token = person.cookies["withhold_sign_in"]
    answer = person.send("POST", "/sign-in", data={"csrf": token, "account": "free"})
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=lax", "path=/;", f"max-age={LIFETIME_MS // 1000}"):
        assert part in cookie + ";"
    assert "secure" not in cookie


def test_over_https_the_cookie_is_sent_over_https_only(surfaces: Surfaces) -> None:
    person = surfaces.visitor()
    secure = "https://testserver.local"
    answer = person.send("GET", f"{secure}/sign-in")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_the_store_never_has_the_id(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    session_id = person.cookies["withhold_session"].encode()
    for path in surfaces.home.rglob("*"):
        if path.is_file():
            assert session_id not in path.read_bytes(), path.name


def test_after_signing_out_nothing_is_shown_any_more(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    session_id = person.cookies["withhold_session"]
    page = person.press("button", "Sign out")
    assert person.address == "/sign-in"
    assert "Sign in to the demo" in page.text
    assert not person.cookies.get("withhold_session")
    stolen = surfaces.visitor()
    headers = {"Cookie": f"withhold_session={session_id}"}
    for address in ("/console/vibe", "/console/history", "/m", "/m/data"):
        assert stolen.send("GET", address, headers=headers).status_code == 303


def test_somebody_is_brought_back_to_where_they_were(surfaces: Surfaces) -> None:
    visitor = surfaces.visitor()
    page = visitor.open("/m/history")
    assert "Sign in to the demo" in page.text
    visitor.press("button", "free")
    assert visitor.address == "/m/history"


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/console\\..\\..\\evil",
        "/v1/head",
        "console",
        "/consolexyz",
        "/m/ x",
        "javascript:alert(1)",
        "",
    ],
)
def test_signing_in_leads_to_a_page_of_ours_whatever_is_asked_for(
    surfaces: Surfaces, wanted: str
) -> None:
    visitor = surfaces.visitor()
    visitor.open("/sign-in")
    form = {"csrf": visitor.cookies["withhold_sign_in"], "account": "free", "next": wanted}
    answer = visitor.send("POST", "/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")


def test_everybody_of_the_page_can_sign_in(surfaces: Surfaces) -> None:
    for account in PEOPLE:
        page = surfaces.person(account).page
        assert page.has("button", "Sign out")


@pytest.mark.parametrize("name", ["%E6%9D%B1", "acme%2Feu", "a%20b%3Fc"])
def test_a_page_of_any_name_is_where_one_comes_back_to(surfaces: Surfaces, name: str) -> None:
    visitor = surfaces.visitor()
    asked = f"/console/organizations/{name}/privacy"
    away = visitor.send("GET", asked).headers["location"]
    wanted = parse_qs(urlsplit(away).query)["next"]
    assert wanted == [asked]
    visitor.open(away)
    form = {"csrf": visitor.cookies["withhold_sign_in"], "account": "free", "next": wanted[0]}
    answer = visitor.send("POST", "/sign-in", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, asked)


def test_an_origin_that_is_no_address_is_refused(surfaces: Surfaces) -> None:
    visitor = surfaces.visitor()
    visitor.open("/sign-in")
    form = {"csrf": visitor.cookies["withhold_sign_in"], "account": "free"}
    answer = visitor.send("POST", "/sign-in", data=form, headers={"Origin": "http://["})
    assert answer.status_code == 403


def test_whoever_is_out_now_is_marked(surfaces: Surfaces) -> None:
    visitor = surfaces.visitor()
    assert "opted out" not in visitor.open("/sign-in").text
    request = PreferenceRequest(SubjectKind.ACCOUNT, "pro", VIBE, allowed=False)
    set_preference(surfaces.ports, request)
    page = visitor.open("/sign-in")
    assert page.text.count("opted out") == 1
    assert page.has("button", "pro opted out")

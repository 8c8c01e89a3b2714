"""The mobile web app: the article's path and checkbox, the console's state at once, installable."""

from __future__ import annotations

import re

import pytest

from tests.web.surfaces import MOBILE_LABEL, VIBE, VIBE_LABEL, Surfaces, event_of
from withhold.domain.directory import SubjectKind
from withhold.services import preferences


def allowed(surfaces: Surfaces, account: str) -> bool:
    return preferences.status(surfaces.ports, SubjectKind.ACCOUNT, account, VIBE).allowed


def test_a8_settings_account_data_and_account_controls_the_checkbox(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    page = person.open("/m")
    headings = [page.name_of(heading) for heading in page.all("heading")]
    assert headings.index("Settings") < headings.index("Account")
    row = page.links()["Data & Account Controls On"]
    page = person.open(row)
    assert row == "/m/data-controls"
    assert page.control("checkbox", MOBILE_LABEL)["aria-checked"] == "true"
    page = person.press("checkbox", MOBILE_LABEL)
    assert page.control("checkbox", MOBILE_LABEL)["aria-checked"] == "false"
    assert "Off. You turned it off." in page.text
    assert "Confirmed at position" in page.text
    assert not allowed(surfaces, "free")
    assert "Data & Account Controls Off" in person.open("/m").links()


def test_a8_s1_console_and_mobile_show_the_same_state_at_once(surfaces: Surfaces) -> None:
    console, mobile = surfaces.person("free"), surfaces.person("free")
    mobile.open("/m/data-controls")
    mobile.press("checkbox", MOBILE_LABEL)
    page = console.open("/console/vibe")
    assert page.control("switch", VIBE_LABEL)["aria-checked"] == "false"
    console.press("switch", VIBE_LABEL)
    console.press("button", "Turn on")
    page = mobile.open("/m/data-controls")
    assert page.control("checkbox", MOBILE_LABEL)["aria-checked"] == "true"


def test_checking_it_again_takes_a_second_press_that_says_what_it_means(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    person.open("/m/data-controls")
    person.press("checkbox", MOBILE_LABEL)
    page = person.press("checkbox", MOBILE_LABEL)
    assert "From then on what you make may be used to train models." in page.text
    assert not allowed(surfaces, "free")
    assert person.press("button", "Keep off").control("checkbox")["aria-checked"] == "false"
    person.press("checkbox", MOBILE_LABEL)
    person.press("button", "Turn on")
    assert allowed(surfaces, "free")


def test_a4_a_locked_plan_shows_the_reason_and_takes_an_own_off(surfaces: Surfaces) -> None:
    person = surfaces.person("teams")
    page = person.open("/m/data-controls")
    control = page.control("checkbox", MOBILE_LABEL)
    assert (control["aria-checked"], control["aria-disabled"]) == ("false", "true")
    assert "Off for everybody: Teams plan." in page.described(control)
    assert "Off. You turned it off." in person.press("button", "Also turn it off for myself").text


def test_what_was_done_there_is_in_the_history_of_both(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    person.open("/m/data-controls")
    person.press("checkbox", MOBILE_LABEL)
    for address in ("/m/history", "/console/history"):
        page = person.open(address)
        assert "Turned off Vibe You · Mobile app" in page.text
    receipt = next(
        e["href"]
        for e in person.open("/m/history").all("link")
        if re.fullmatch(r"/m/receipts/\d+\.html", e["href"])
    )
    assert event_of(person.keep(receipt))["surface"] == "mobile"
    assert person.open(receipt).links()["History"] == "/m/history"


def test_the_lists_lead_back_to_the_settings(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    for address in ("/m/data", "/m/history", "/m/data-controls"):
        assert person.open(address).links()["Settings"] == "/m"


def test_a_page_that_is_not_there_says_so_and_leads_to_the_settings(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    page = person.open("/m/nothing")
    assert person.answer.status_code == 404
    assert page.links()["Back to the start"] == "/m"


def test_it_can_be_installed(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    page = person.open("/m")
    links = {e["rel"]: e["href"] for e in page.elements if e.tag == "link"}
    given = person.send("GET", links["manifest"])
    assert given.headers["content-type"].startswith("application/manifest+json")
    manifest = given.json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == (
        "/m",
        "/m",
        "standalone",
    )
    assert {"192x192", "512x512"} <= {icon["sizes"] for icon in manifest["icons"]}
    for icon in manifest["icons"]:
        assert person.send("GET", icon["src"]).status_code == 200


def test_the_worker_keeps_the_offline_page_and_nothing_that_has_a_state(
    surfaces: Surfaces,
) -> None:
    visitor = surfaces.visitor()
    given = visitor.send("GET", "/m/sw.js")
    assert given.headers["service-worker-allowed"] == "/m"
    kept = re.search(r"const FILES = \[OFFLINE, (.*?)\];", given.text)
    assert kept is not None
    for address in re.findall(r'"([^"]+)"', kept[1]):
        assert address.startswith("/static/")
        assert visitor.send("GET", address).status_code == 200
    assert '"navigate" && request.method === "GET"' in given.text
    for word in ("POST", "sync", "indexedDB", "IndexedDB", "put("):
        assert word not in given.text


def test_the_offline_page_needs_no_session_and_promises_nothing(surfaces: Surfaces) -> None:
    page = surfaces.visitor().open("/m/offline")
    assert "Nothing can be changed until you are connected" in page.text
    assert not page.all("checkbox")
    assert not [e for e in page.elements if e.tag in {"form", "script"}]


@pytest.mark.parametrize("address", ["/m", "/m/data-controls", "/m/history", "/m/data"])
def test_every_page_of_it_needs_a_session(surfaces: Surfaces, address: str) -> None:
    visitor = surfaces.visitor()
    answer = visitor.send("GET", address)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={address}")

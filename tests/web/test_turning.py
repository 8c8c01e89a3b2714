"""Turning a switch from a page: conflicts, replays, stale tabs, double clicks, saves that fail."""

from __future__ import annotations

import pytest

from tests.fakes.intake import Fault
from tests.web.browsing import Page, Person
from tests.web.surfaces import MOBILE_LABEL, VIBE, VIBE_LABEL, Surfaces, event_of
from withhold.app import shipped_policy
from withhold.domain.directory import SubjectKind
from withhold.services import policies, preferences
from withhold.services.preferences import PreferenceRequest

PLACES = [
    pytest.param("/console/vibe", "switch", VIBE_LABEL, id="console"),
    pytest.param("/m/data-controls", "checkbox", MOBILE_LABEL, id="mobile"),
]
BOTH = pytest.mark.parametrize("scripts", [False, True], ids=["plain", "scripts"])


def allowed(surfaces: Surfaces, account: str = "free") -> bool:
    return preferences.status(surfaces.ports, SubjectKind.ACCOUNT, account, VIBE).allowed


def turn(surfaces: Surfaces, allow: bool, account: str = "free") -> int:
    """Turn it elsewhere: by a program, or on another device."""
    request = PreferenceRequest(SubjectKind.ACCOUNT, account, VIBE, allow)
    return preferences.set_preference(surfaces.ports, request).position


def at(surfaces: Surfaces, path: str, *, scripts: bool, account: str = "free") -> Person:
    person = surfaces.person(account)
    person.open(path)
    person.scripts = scripts
    return person


def is_on(page: Page, role: str) -> bool:
    return page.control(role)["aria-checked"] == "true"


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s2_off_sends_off_and_the_answer_draws_the_switch(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    person = at(surfaces, path, scripts=scripts)
    page = person.press(role, label)
    assert not is_on(page, role)
    assert not allowed(surfaces)
    assert "Confirmed at position" in page.source
    if scripts:
        assert page.source.lstrip().startswith("<")
        assert "<html" not in page.source, "a part of the page, not the page"


def test_without_scripts_a_press_ends_in_a_page_that_reloads_without_posting_again(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    form = person.page.control("switch").form
    assert form is not None
    answer = person.send("POST", form["action"], data=form.fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/vibe#switch-vibe")
    head = surfaces.ports.ledger.head()
    for _ in range(3):
        assert not is_on(person.open("/console/vibe"), "switch")
    assert surfaces.ports.ledger.head() == head


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s4_a_stale_tab_that_shows_on_turns_off_and_never_on(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    person = at(surfaces, path, scripts=scripts)
    turn(surfaces, False)
    assert not is_on(person.press(role, label), role)
    assert not allowed(surfaces)


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s4_no_single_press_turns_it_on(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    turn(surfaces, False)
    person = at(surfaces, path, scripts=scripts)
    for _ in range(3):
        page = person.press(role, label)
        assert not is_on(page, role)
        assert page.has("button", "Turn on")
    assert not allowed(surfaces)


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s4_a_confirmation_from_before_another_off_turns_nothing_on(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    turn(surfaces, False)
    person = at(surfaces, path, scripts=scripts)
    stale = person.press(role, label)
    turn(surfaces, True)
    turn(surfaces, False)
    person.page = stale
    page = person.press("button", "Turn on")
    assert person.answer.status_code == 412
    assert not is_on(page, role)
    assert "Nothing was changed." in page.source
    assert not allowed(surfaces)


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s5_a_replayed_confirmation_after_an_off_is_refused(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    turn(surfaces, False)
    person = at(surfaces, path, scripts=scripts)
    asked = person.press(role, label)
    person.press("button", "Turn on")
    assert allowed(surfaces)
    turn(surfaces, False)
    person.page = asked
    page = person.press("button", "Turn on")
    assert person.answer.status_code == 409
    assert not is_on(page, role)
    assert not allowed(surfaces)


@BOTH
def test_s4_a_double_click_on_turn_on_is_one_opt_in(surfaces: Surfaces, scripts: bool) -> None:
    turn(surfaces, False)
    person = at(surfaces, "/console/vibe", scripts=scripts)
    asked = person.press("switch", VIBE_LABEL)
    person.press("button", "Turn on")
    head = surfaces.ports.ledger.head()
    person.page = asked
    assert is_on(person.press("button", "Turn on"), "switch")
    assert surfaces.ports.ledger.head() == head


@BOTH
def test_s4_a_double_click_on_the_switch_ends_off(surfaces: Surfaces, scripts: bool) -> None:
    person = at(surfaces, "/console/vibe", scripts=scripts)
    shown = person.page
    person.press("switch", VIBE_LABEL)
    head = surfaces.ports.ledger.head()
    person.page = shown
    assert not is_on(person.press("switch", VIBE_LABEL), "switch")
    assert surfaces.ports.ledger.head() == head


@BOTH
def test_s5_a_confirmation_under_an_older_notice_turns_nothing_on(
    surfaces: Surfaces, scripts: bool
) -> None:
    turn(surfaces, False)
    person = at(surfaces, "/console/vibe", scripts=scripts)
    person.press("switch", VIBE_LABEL)
    adopt_another_notice(surfaces)
    page = person.press("button", "Turn on")
    assert person.answer.status_code == 409
    assert not is_on(page, "switch")
    assert not allowed(surfaces)


@BOTH
def test_an_off_under_an_older_notice_is_taken_and_names_no_text_that_was_not_shown(
    surfaces: Surfaces, scripts: bool
) -> None:
    person = at(surfaces, "/console/vibe", scripts=scripts)
    adopt_another_notice(surfaces)
    assert not is_on(person.press("switch", VIBE_LABEL), "switch")
    person.scripts = False
    receipt = person.open("/console/vibe").links()["Receipt"]
    assert event_of(person.keep(receipt))["notice"] is None


def adopt_another_notice(surfaces: Surfaces) -> None:
    with surfaces.ports.ledger.directory() as directory:
        old = directory.policy
    text = shipped_policy()
    for name, value in (("notice", old.notice), ("version", old.version)):
        text = text.replace(f'{name} = "{value}"', f'{name} = "2026-12-01"')
    policies.adopt(surfaces.ports, text)


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s3_a_save_that_failed_is_not_confirmed_and_the_earlier_state_stands(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    person = at(surfaces, path, scripts=scripts)
    head = surfaces.ports.ledger.head()
    surfaces.ledger.how = Fault.FAIL_NOT_PERSISTED
    page = person.press(role, label)
    assert person.answer.status_code == 503
    assert is_on(page, role), "what the ledger says"
    assert "Not confirmed." in page.source
    assert "nothing was recorded" in page.source
    surfaces.ledger.how = None
    assert surfaces.ports.ledger.head() == head
    assert allowed(surfaces)
    assert not is_on(person.press(role, label), role), "the same page can try again"


@BOTH
def test_s3_a_failed_opt_in_leaves_it_off(surfaces: Surfaces, scripts: bool) -> None:
    turn(surfaces, False)
    person = at(surfaces, "/console/vibe", scripts=scripts)
    person.press("switch", VIBE_LABEL)
    surfaces.ledger.how = Fault.FAIL_NOT_PERSISTED
    page = person.press("button", "Turn on")
    surfaces.ledger.how = None
    assert person.answer.status_code == 503
    assert not is_on(page, "switch")
    assert not allowed(surfaces)


@BOTH
@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s3_a_save_of_unknown_outcome_says_that_it_is_not_known(
    surfaces: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    person = at(surfaces, path, scripts=scripts)
    surfaces.ledger.how = Fault.FAIL_PERSISTED
    page = person.press(role, label)
    surfaces.ledger.how = None
    assert person.answer.status_code == 500
    assert "Whether it was recorded is not known. Reload" in page.source
    assert is_on(page, role) == allowed(surfaces), "no surface says off while the ledger says on"


@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_s3_what_was_recorded_is_called_recorded_also_when_it_cannot_be_read(
    surfaces: Surfaces, path: str, role: str, label: str
) -> None:
    person = at(surfaces, path, scripts=True)
    surfaces.ledger.goes_blind = True
    page = person.press(role, label)
    surfaces.ledger.recover()
    assert person.answer.status_code == 200
    assert "Recorded." in page.source
    assert not page.all(role), "no state is drawn that nobody could read"
    assert not allowed(surfaces)


@pytest.mark.parametrize(("path", "role", "label"), PLACES)
def test_a_page_that_cannot_be_read_says_so_and_never_that_nothing_was_changed(
    surfaces: Surfaces, path: str, role: str, label: str
) -> None:
    person = at(surfaces, path, scripts=False)
    surfaces.ledger.goes_blind = True
    page = person.press(role, label)
    surfaces.ledger.recover()
    assert person.answer.status_code == 503
    assert "What was confirmed before stands" in page.text
    assert "Nothing was changed" not in page.text
    assert not allowed(surfaces)


@BOTH
def test_a_rule_that_says_no_is_told_and_changes_nothing(surfaces: Surfaces, scripts: bool) -> None:
    person = at(surfaces, "/console/vibe", scripts=scripts, account="teams")
    form = {
        **csrf(person),
        "product": "vibe",
        "allowed": "on",
        "seen": "1",
        "key": "k" * 22,
        "notice": "2026-11-23",
    }
    head = surfaces.ports.ledger.head()
    person.send("POST", "/console/vibe", data=form)
    assert person.answer.status_code == 403
    page = Page(person.answer.text)
    assert page.control("switch")["aria-disabled"] == "true"
    assert "Nothing was changed." in page.source
    assert surfaces.ports.ledger.head() == head


def csrf(person: Person) -> dict[str, str]:
    field = next(e for e in person.page.elements if e["name"] == "csrf")
    return {"csrf": field["value"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed": "1"},
        {"allowed": "true"},
        {"allowed": ""},
        {"allowed": "ON"},
        {"allowed": "on"},
        {"allowed": "on", "key": "k" * 22},
        {"allowed": "on", "seen": "1"},
        {"allowed": "on", "seen": "-1", "key": "k" * 22},
        {"allowed": "on", "seen": "1", "key": "k" * 22 + "\n"},
        {"allowed": "on", "seen": "9" * 19, "key": "k" * 22},
        {"allowed": "off", "more": "x"},
        {},
    ],
    ids=str,
)
def test_a_form_that_is_not_ours_changes_nothing(
    surfaces: Surfaces, fields: dict[str, str]
) -> None:
    turn(surfaces, False)
    head = surfaces.ports.ledger.head()
    person = surfaces.person("free")
    sent = {**csrf(person), "product": "vibe", "notice": "2026-11-23", **fields}
    person.send("POST", "/console/vibe", data=sent)
    assert person.answer.status_code == 400
    assert surfaces.ports.ledger.head() == head


def test_the_choice_records_surface_actor_and_the_notice_that_was_shown(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    person.press("switch", VIBE_LABEL)
    event = event_of(person.keep(person.page.links()["Receipt"]))
    assert (event["surface"], event["actor"], event["notice"]) == ("console", "free", "2026-11-23")
    assert (event["kind"], event["product"]) == ("opted_out", "vibe")


@BOTH
def test_a_session_that_ended_does_nothing_and_leads_to_sign_in(
    surfaces: Surfaces, scripts: bool
) -> None:
    person = at(surfaces, "/console/vibe", scripts=scripts)
    other = person.copy()
    other.scripts = False
    other.press("button", "Sign out")
    head = surfaces.ports.ledger.head()
    form = person.page.control("switch").form
    assert form is not None
    answer = person.send("POST", form["action"], data=form.fields)
    if scripts:
        assert answer.headers["hx-redirect"] == "/sign-in?next=/console/vibe"
    else:
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            "/sign-in?next=/console/vibe",
        )
    assert surfaces.ports.ledger.head() == head

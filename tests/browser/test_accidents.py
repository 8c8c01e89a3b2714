"""Nothing but a deliberate second press turns training on (S4, S5), with scripts and without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.browser import chromium
from tests.browser.chromium import NARROW, WIDE, Look
from tests.browser.conftest import Contexts, Visit, signed_in, untold
from tests.browser.faces import BOTH, CONSOLE, Face, Visitor
from tests.browser.site import Site
from tests.browser.watch import Watch
from withhold.domain.names import Position

WITHOUT_SCRIPTS = Look(scripts=False)
LOOKS = pytest.mark.parametrize("look", [WIDE, NARROW, WITHOUT_SCRIPTS], ids=str)
FACES = pytest.mark.parametrize("face", BOTH, ids=str)
KEPT = "dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))"
SETTLED_MS = 150  # long enough for what a press began to be answered on this machine


def is_post(request: Request) -> bool:
    return request.method == "POST"


def opt_ins(site: Site, account: str, since: Position) -> int:
    """Return how often something turned an account on after a position."""
    positions = range(since + 1, site.ports.ledger.head() + 1)
    records = [site.ports.ledger.record(Position(position)) for position in positions]
    events = [json.loads(record.event) for record in records if record is not None]
    return sum(event["kind"] == "opted_in" and event["subject"] == account for event in events)


def at_an_off(shared: Site, visit: Visit, face: Face, look: Look) -> tuple[str, Position, Visitor]:
    """Return somebody who is out, the position of that, and them in front of their switch."""
    ana = shared.account("ana")
    before = shared.turn(ana, allowed=False).position
    return ana, before, visit(shared, ana, face, look)


@LOOKS
@FACES
def test_keeping_it_off_closes_the_question(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana, before, visitor = at_an_off(shared, visit, face, look)
    visitor.control.click()
    visitor.keep_off.click()
    expect(visitor.turn_on).to_have_count(0)
    visitor.shows(on=False)
    assert opt_ins(shared, ana, before) == 0


@FACES
def test_escape_closes_the_question_and_the_switch_is_where_one_is_again(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana, before, visitor = at_an_off(shared, visit, face, WIDE)
    visitor.control.click()
    expect(visitor.turn_on).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(visitor.turn_on).to_have_count(0)
    expect(visitor.control).to_be_focused()
    visitor.shows(on=False)
    assert opt_ins(shared, ana, before) == 0


@LOOKS
@FACES
def test_leaving_the_question_turns_nothing_on(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana, before, visitor = at_an_off(shared, visit, face, look)
    visitor.control.click()
    expect(visitor.turn_on).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.reload()
    visitor.shows(on=False)
    visitor.page.goto(shared.address + face.start)
    visitor.page.go_back()
    visitor.shows(on=False)
    assert opt_ins(shared, ana, before) == 0


@pytest.mark.parametrize("look", [WIDE, WITHOUT_SCRIPTS], ids=str)
@FACES
@pytest.mark.parametrize("presses", [2, 3])
def test_a_double_or_triple_click_turns_off_at_most(
    shared: Site, visit: Visit, face: Face, look: Look, presses: int
) -> None:
    ana = shared.account("ana")
    visitor = visit(shared, ana, face, look)
    visitor.control.click(click_count=presses, no_wait_after=True)
    visitor.shows(on=False)
    visitor.page.wait_for_timeout(SETTLED_MS)
    visitor.page.goto(shared.address + face.address)
    visitor.shows(on=False)
    assert not shared.status(ana).allowed
    assert opt_ins(shared, ana, Position(0)) == 0


@LOOKS
@FACES
def test_clicking_on_and_on_where_the_switch_is_never_turns_it_on(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana, before, visitor = at_an_off(shared, visit, face, look)
    box = visitor.control.bounding_box()
    assert box is not None
    for _ in range(4):
        visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        visitor.page.wait_for_timeout(SETTLED_MS)
    visitor.shows(on=False)
    assert opt_ins(shared, ana, before) == 0


@LOOKS
@FACES
def test_reloading_after_a_press_sends_nothing_again(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana, before, visitor = at_an_off(shared, visit, face, look)
    visitor.turn_it_on()
    shared.turn(ana, allowed=False)
    sent: list[Request] = []
    visitor.page.on("request", lambda request: sent.append(request) if is_post(request) else None)
    visitor.page.reload()
    visitor.shows(on=False)
    assert sent == []
    assert opt_ins(shared, ana, before) == 1


@LOOKS
@FACES
def test_the_question_of_a_stale_page_turns_nothing_on(
    shared: Site, visit: Visit, watch: Watch, face: Face, look: Look
) -> None:
    ana = shared.account("ana")
    shared.turn(ana, allowed=False)
    visitor = visit(shared, ana, face, look, is_told=False)
    visitor.control.click()
    expect(visitor.turn_on).to_be_visible()
    shared.turn(ana, allowed=True)
    before = shared.turn(ana, allowed=False).position
    visitor.turn_on.click()
    visitor.says("Nothing was changed.")
    visitor.shows(on=False)
    watch.expected("status of 412")
    assert opt_ins(shared, ana, before) == 0


@LOOKS
@FACES
def test_a_stale_page_that_shows_on_turns_off_all_the_same(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana = shared.account("ana")
    visitor = visit(shared, ana, face, look, is_told=False)
    shared.turn(ana, allowed=False)
    visitor.turn_it_off()
    assert not shared.status(ana).allowed
    assert opt_ins(shared, ana, Position(0)) == 0


@FACES
def test_turning_it_on_twice_from_one_question_counts_once(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana = shared.account("ana")
    before = shared.turn(ana, allowed=False).position
    visitor = visit(shared, ana, face)
    visitor.control.click()
    visitor.turn_on.dblclick()
    visitor.shows(on=True)
    visitor.page.wait_for_timeout(SETTLED_MS)
    visitor.shows(on=True)
    assert opt_ins(shared, ana, before) == 1


@FACES
def test_a_form_that_is_sent_again_after_an_opt_out_turns_nothing_on(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana = shared.account("ana")
    before = shared.turn(ana, allowed=False).position
    visitor = visit(shared, ana, face)
    visitor.control.click()
    with visitor.page.expect_request(is_post) as sent:
        visitor.turn_on.click()
    visitor.shows(on=True)
    visitor.turn_it_off()
    again = visitor.page.context.request.post(
        sent.value.url,
        data=sent.value.post_data or "",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": shared.address},
    )
    assert again.status in {409, 412}
    assert not shared.status(ana).allowed
    assert opt_ins(shared, ana, before) == 1


@pytest.mark.parametrize("look", [WIDE, WITHOUT_SCRIPTS], ids=str)
@FACES
def test_a_session_that_is_over_changes_nothing_and_leads_to_sign_in(
    shared: Site, contexts: Contexts, face: Face, look: Look
) -> None:
    ana = shared.account("ana")
    context = contexts(look)
    untold(context)
    session_id = signed_in(shared, context, ana)
    visitor = Visitor(shared, face, context.new_page()).open()
    shared.end_session(session_id)
    head = shared.ports.ledger.head()
    visitor.control.click()
    visitor.page.wait_for_url(re.compile(r"/sign-in\?next=/"))
    assert shared.ports.ledger.head() == head
    assert shared.status(ana).allowed


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_form_without_the_token_of_its_session_changes_nothing(
    shared: Site, visit: Visit, token: str
) -> None:
    ana = shared.account("ana")
    visitor = visit(shared, ana, CONSOLE)
    form = {"product": "vibe", "allowed": "off", "notice": "", "csrf": token}
    answered = visitor.page.context.request.post(shared.address + CONSOLE.address, form=form)
    assert answered.status == 403
    assert shared.status(ana).allowed


@pytest.fixture
def remembering(browser: Browser) -> Iterator[Browser]:
    """Give a Chromium that keeps pages for going back, as people's do and Playwright's does not."""
    opened = browser.browser_type.launch(
        executable_path=chromium.executable(),
        args=list(chromium.FLAGS),
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield opened
    opened.close()


@FACES
def test_going_back_shows_what_holds(shared: Site, remembering: Browser, face: Face) -> None:
    ana = shared.account("ana")
    context = remembering.new_context(**WIDE.options())
    signed_in(shared, context, ana)
    visitor = Visitor(shared, face, context.new_page()).open()
    visitor.shows(on=True)
    visitor.page.goto(shared.address)
    shared.turn(ana, allowed=False)
    visitor.page.go_back()
    visitor.shows(on=False, within_seconds=1)


@FACES
def test_a_page_that_was_kept_is_asked_for_again(shared: Site, visit: Visit, face: Face) -> None:
    ana = shared.account("ana")
    visitor = visit(shared, ana, face, is_told=False)
    shared.turn(ana, allowed=False)
    visitor.page.evaluate(KEPT)  # Chromium keeps no page of ours; a browser that does says so
    visitor.shows(on=False, within_seconds=1)

"""The switch on every surface: off in one press, on in two, drawn from the answer (A2, A5, A8, S2)."""

from __future__ import annotations

from io import BytesIO
from urllib.parse import parse_qs

import pytest
from PIL import Image
from playwright.sync_api import Request, Route, expect

from tests.browser.accessibility import violations
from tests.browser.chromium import LOOKS, NARROW, WIDE, Look
from tests.browser.conftest import Visit
from tests.browser.faces import BOTH, Face
from tests.browser.site import Site

HELD_BACK_MS = 400  # an answer that takes its time


def is_post(request: Request) -> bool:
    return request.method == "POST"


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("face", BOTH, ids=str)
def test_one_press_turns_it_off_and_says_where_that_is_recorded(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana = shared.account("ana", vibe="free")
    visitor = visit(shared, ana, face, look)
    visitor.shows(on=True)
    visitor.says("the default of the Free plan")
    assert violations(visitor.page) == []
    visitor.turn_it_off()
    status = shared.status(ana)
    assert not status.allowed
    visitor.says(f"position {status.position:,}")
    expect(visitor.page.get_by_role("link", name="Receipt").first).to_be_visible()
    assert violations(visitor.page) == []


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("face", BOTH, ids=str)
def test_turning_it_on_is_asked_first_and_takes_a_second_press(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    ana = shared.account("ana", vibe="free")
    shared.turn(ana, allowed=False)
    visitor = visit(shared, ana, face, look)
    visitor.shows(on=False)
    visitor.control.click()
    expect(visitor.turn_on).to_be_visible()
    visitor.shows(on=False)
    assert not shared.status(ana).allowed
    assert violations(visitor.page) == []
    visitor.turn_on.click()
    visitor.shows(on=True)
    assert shared.status(ana).allowed
    assert violations(visitor.page) == []


@pytest.mark.parametrize("face", BOTH, ids=str)
def test_the_question_has_the_keyboard_as_soon_as_it_is_drawn(
    shared: Site, visit: Visit, face: Face
) -> None:
    """A press between the two went to a form that was not ready, or to a focus that was then taken away."""
    ana = shared.account("ana", vibe="free")
    shared.turn(ana, allowed=False)
    visitor = visit(shared, ana, face)
    visitor.page.evaluate(
        """() => new MutationObserver((_, observer) => {
          const asked = document.querySelector(".ask");
          if (!asked) return;
          document.body.dataset.focused = document.activeElement.className;
          observer.disconnect();
        }).observe(document.body, {childList: true, subtree: true})"""
    )
    visitor.control.click()
    expect(visitor.turn_on).to_be_visible()
    assert visitor.page.locator("body").get_attribute("data-focused") == "ask"


@pytest.mark.parametrize("look", [WIDE, NARROW, Look(scripts=False)], ids=str)
@pytest.mark.parametrize("face", BOTH, ids=str)
def test_what_leaves_the_browser_says_off_when_it_is_turned_off(
    shared: Site, visit: Visit, face: Face, look: Look
) -> None:
    visitor = visit(shared, shared.account("ana", vibe="free"), face, look)
    with visitor.page.expect_request(is_post) as sent:
        visitor.turn_it_off()
    fields = parse_qs(sent.value.post_data or "")
    assert fields["allowed"] == ["off"]
    assert fields["product"] == ["vibe"]


@pytest.mark.parametrize("face", BOTH, ids=str)
def test_the_switch_does_not_move_before_the_answer(shared: Site, visit: Visit, face: Face) -> None:
    visitor = visit(shared, shared.account("ana", vibe="free"), face, may_install=False)
    held: list[Route] = []
    visitor.page.route(
        "**" + face.address,
        lambda route: held.append(route) if is_post(route.request) else route.continue_(),
    )
    visitor.control.click()
    visitor.page.wait_for_timeout(HELD_BACK_MS)
    visitor.shows(on=True, within_seconds=0.1)
    assert len(held) == 1
    held[0].continue_()
    visitor.shows(on=False)


@pytest.mark.parametrize("face", BOTH, ids=str)
def test_the_receipt_beside_the_switch_is_of_the_opt_out(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana = shared.account("ana", vibe="free")
    visitor = visit(shared, ana, face)
    visitor.turn_it_off()
    visitor.page.get_by_role("link", name="Receipt").first.click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(
        "Training on your Vibe data: off"
    )
    assert violations(visitor.page) == []
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="Keep the file").click()
    kept = download.value.path().read_text(encoding="utf-8")
    assert f'"position":{shared.status(ana).position}' in kept
    assert "opted_out" in kept
    visitor.page.get_by_role("link", name="History").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("History")


@pytest.mark.parametrize("face", BOTH, ids=str)
def test_with_colours_of_the_systems_own_on_and_off_look_different(
    shared: Site, visit: Visit, face: Face
) -> None:
    ana = shared.account("ana", vibe="free")
    visitor = visit(shared, ana, face)
    visitor.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    drawn = visitor.page.locator(".toggle, .box").first
    on = inside(drawn.screenshot())
    visitor.turn_it_off()
    visitor.page.mouse.move(0, 0)
    off = inside(drawn.screenshot())
    assert len(on) > 1, "something is drawn in it"
    assert on != off


def inside(picture: bytes) -> set[tuple[int, ...]]:
    """Return the colours inside of a control, without its edge, each with how often it is there."""
    image = Image.open(BytesIO(picture)).convert("RGB")
    box = image.crop((4, 4, image.width - 4, image.height - 4))
    colours: list[tuple[int, tuple[int, ...]]] = box.getcolors(100_000) or []
    return {(count, *colour) for count, colour in colours}

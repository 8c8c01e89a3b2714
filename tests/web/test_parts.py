"""The parts of a page that scripts ask for: one switch, and what becomes of earlier data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.browsing import Page, said
from tests.web.surfaces import VIBE, VIBE_LABEL, Surfaces, surfaces_in
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId
from withhold.services import builds, capture

PLACES = ["/console/vibe", "/m/data-controls"]


def chat(surfaces: Surfaces, *rows: str) -> None:
    """Let the free account chat, and build a dataset of it."""
    made = [
        Interaction(
            row,
            VIBE,
            InteractionKind.CONVERSATION,
            AccountId("free"),
            (Message("user", "Hello"),),
        )
        for row in rows
    ]
    capture.capture(surfaces.ports, made)
    builds.build(surfaces.ports, "chat", VIBE)


def text_of(page: Page, part: str) -> str:
    return said(page.by_id(part).text)


@pytest.mark.parametrize("path", PLACES)
def test_a_press_brings_the_switch_and_the_progress_of_earlier_data(
    surfaces: Surfaces, path: str
) -> None:
    chat(surfaces, "r1", "r2")
    person = surfaces.person("free")
    person.open(path)
    assert "1 dataset holds rows of yours now." in text_of(person.page, "effect-vibe")
    person.scripts = True
    role = person.page.all("switch") or person.page.all("checkbox")
    page = person.press(role[0]["role"], person.page.name_of(role[0]))
    assert "Removing from datasets" in text_of(page, "effect-vibe")
    asks = page.by_id("effect-vibe")
    assert asks["hx-trigger"] == "load, stale"
    progress = Page(person.send("GET", asks["hx-get"]).text)
    assert "Removed from 1 of 1 dataset, within 0." in text_of(progress, "effect-vibe")
    again = Page(person.send("GET", progress.by_id("effect-vibe")["hx-get"]).text)
    assert "Removed from 1 of 1 dataset." in text_of(again, "effect-vibe")


@pytest.mark.parametrize("path", PLACES)
def test_every_part_says_what_it_shows_so_that_only_stale_ones_are_asked_for_again(
    surfaces: Surfaces, path: str
) -> None:
    person = surfaces.person("free")
    page = person.open(path)
    marks = {e["data-marks"] for e in page.elements if e["data-marks"]}
    (mark,) = marks
    live = page.by_id("live")
    assert live["hx-sse:connect"].endswith(f"/events?seen={mark}")
    assert [e["hx-trigger"] for e in page.elements if e["data-marks"]] == ["stale", "stale"]


@pytest.mark.parametrize("path", PLACES)
def test_a_part_that_is_asked_for_again_takes_the_keyboard_from_nobody(
    surfaces: Surfaces, path: str
) -> None:
    person = surfaces.person("free")
    page = person.open(path)
    person.scripts = True
    for element in [e for e in page.elements if e["data-marks"]]:
        part = Page(person.send("GET", element["hx-get"]).text)
        assert not [e for e in part.elements if "autofocus" in e.attributes]
        assert part.by_id(element["id"])["data-marks"] == element["data-marks"]


def test_after_a_press_the_keyboard_is_where_it_was_and_never_on_turn_on(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    person.scripts = True
    page = person.press("switch", VIBE_LABEL)
    assert focused(page) == ["control-vibe"]
    page = person.press("switch", VIBE_LABEL)
    assert focused(page) == ["ask-vibe"]
    page = person.press("button", "Keep off")
    assert focused(page) == ["control-vibe"]


def focused(page: Page) -> list[str]:
    return [e["id"] for e in page.elements if "autofocus" in e.attributes]


def test_what_happened_is_said_aloud_beside_the_part(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    person.scripts = True
    page = person.press("switch", VIBE_LABEL)
    aloud = next(e for e in page.elements if e.tag == "hx-partial" and e["hx-target"] == "#said")
    assert said(aloud.text) == "Off. You turned it off."
    assert surfaces.person("free").page.by_id("said")["role"] == "status"


def test_when_the_lake_cannot_tell_the_switch_is_right_all_the_same(tmp_path: Path) -> None:
    with surfaces_in(tmp_path) as before:
        chat(before, "r1")
    for file in [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]:
        file.unlink()
    with surfaces_in(tmp_path) as surfaces:
        person = surfaces.person("free")
        shown = text_of(person.page, "effect-vibe")
        assert "Turning it off drops your rows" in shown
        assert "dataset holds" not in shown
        page = person.press("switch", VIBE_LABEL)
        assert page.control("switch")["aria-checked"] == "false"
        assert "Removed" not in page.text
        person.open("/console/data")
        assert person.answer.status_code == 500


def test_a_part_that_is_not_there_is_told_at_the_top_of_the_page(surfaces: Surfaces) -> None:
    person = surfaces.person("free", scripts=True)
    answer = person.send("GET", "/console/nothing?product=vibe")
    assert (answer.status_code, answer.headers["hx-retarget"]) == (404, "#alerts")
    assert answer.text.startswith("<p")

"""A browser watches the log: what it saw once has to be in everything that it is shown later."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Contexts, signed_in
from tests.browser.site import Site, site

KEPT = "withhold.log-head"
PAGES = [pytest.param("/console/history", id="console"), pytest.param("/m/history", id="mobile")]


def kept(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.evaluate(f"localStorage.getItem('{KEPT}')"))
    return found


def keep(page: Page, head: dict[str, Any]) -> None:
    page.evaluate(f"head => localStorage.setItem('{KEPT}', head)", json.dumps(head))


@pytest.mark.parametrize("path", PAGES)
def test_what_a_browser_saw_is_in_what_it_sees_later(
    shared: Site, contexts: Contexts, path: str
) -> None:
    context = contexts()
    ana = shared.account("ana")
    signed_in(shared, context, ana)
    page = context.new_page()
    page.goto(shared.address + path)
    watched = page.locator("#log-watch")
    expect(watched).to_contain_text("From now on this browser checks")
    sizes = [kept(page)["size"]]
    for more in (1, 2, 3, 5, 300):  # trees of many shapes, across a full tile
        for n in range(more):
            shared.account(f"more-{n}")
        page.goto(shared.address + path)
        expect(watched).to_contain_text("nothing it saw was removed from the log since")
        sizes.append(kept(page)["size"])
        expect(watched).to_contain_text(f"(position {sizes[-1]})")
    assert sizes == sorted(set(sizes))
    assert not page.locator("#alerts .alert").count()


def test_a_browser_keeps_what_it_saw_when_it_is_shown_something_else(
    shared: Site, contexts: Contexts
) -> None:
    context = contexts()
    ana = shared.account("ana")
    signed_in(shared, context, ana)
    page = context.new_page()
    page.goto(f"{shared.address}/console/history")
    expect(page.locator("#log-watch")).to_be_visible()
    seen = kept(page)
    shared.account("somebody")
    for change, told in (
        ({"root": "00" * 32, "size": seen["size"] - 3}, "are not those that this browser saw"),
        ({"size": seen["size"] + 1000}, f"and this browser saw {seen['size'] + 1000}"),
        ({"origin": "somebody/else"}, "it is another log"),
        ({"keys": ["gone+00000000+AAAA"]}, "is not the log's any more"),
    ):
        keep(page, {**seen, **change})
        page.goto(f"{shared.address}/console/vibe")
        expect(page.locator("#alerts .alert")).to_contain_text("The log was changed.")
        expect(page.locator("#alerts .alert")).to_contain_text(told)
        assert kept(page) == {**seen, **change}
    keep(page, seen)
    page.goto(f"{shared.address}/console/history")
    expect(page.locator("#log-watch")).to_contain_text("nothing it saw was removed")


def test_what_was_found_stays_on_every_page_until_it_was_taken_to_a_file(
    shared: Site, contexts: Contexts
) -> None:
    context = contexts()
    signed_in(shared, context, shared.account("ana"))
    page = context.new_page()
    page.goto(f"{shared.address}/console/history")
    expect(page.locator("#log-watch")).to_be_visible()
    seen = kept(page)
    keep(page, {**seen, "root": "00" * 32})
    page.reload()
    alert = page.locator("#log-evidence")
    expect(alert).to_contain_text("are not those that this browser saw")
    keep(page, seen)
    for path in ("/console/data", "/m/history"):  # the log follows again, and what was found stays
        page.goto(shared.address + path)
        expect(alert).to_contain_text("This browser found it on")
        assert violations(page) == []
    remove = alert.get_by_role("button", name="Remove it from this browser")
    expect(remove).to_be_hidden()
    with page.expect_download() as download:
        alert.get_by_role("link", name="Download the evidence").click()
    assert download.value.suggested_filename == "log-evidence.json"
    evidence = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert evidence["seen"] == seen["note"]
    assert evidence["shown"].startswith(seen["origin"])
    remove.click()
    page.goto(f"{shared.address}/console/history")
    expect(page.locator("#log-watch")).to_be_visible()
    expect(alert).to_have_count(0)


def test_a_ledger_that_was_put_back_and_went_on_is_found_by_whoever_saw_the_other(
    tmp_path: Path, contexts: Contexts
) -> None:
    context = contexts()
    with site(tmp_path / "home") as before:
        ana = before.account("ana")
    shutil.copytree(tmp_path / "home", tmp_path / "fork" / "home")  # keys and all
    with site(tmp_path / "home") as seen:
        seen.turn(ana, allowed=False)
        signed_in(seen, context, ana)
        page = context.new_page()
        page.goto(f"{seen.address}/console/history")
        expect(page.locator("#log-watch")).to_be_visible()
        head = kept(page)
        page.close()
    with site(tmp_path / "fork" / "home") as forked:  # as if the opt-out had never been
        forked.turn(ana, allowed=True)
        forked.account("bo")
        signed_in(forked, context, ana)
        page = context.new_page()
        page.goto(f"{forked.address}/console/history")
        expect(page.locator("#log-watch")).to_be_visible()  # it keeps what it sees here first
        keep(page, head)  # addresses differ here only because each server has a port of its own
        page.goto(f"{forked.address}/console/vibe")
        expect(page.locator("#alerts .alert")).to_contain_text(
            "are not those that this browser saw"
        )
        evidence = json.loads(page.evaluate("localStorage.getItem('withhold.log-evidence')"))
        assert evidence["seen"] == head["note"] != evidence["shown"]
        page.close()

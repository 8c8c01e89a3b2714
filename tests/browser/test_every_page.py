"""Every page: nothing in anybody's way, nothing of anybody's text as markup, little to load.

The text of interactions, names and ids is hostile in these tests; the content security policy of every
answer is looked at by `watch`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.chromium import DESK, PHONE, WIDE, Look
from tests.browser.conftest import Contexts, signed_in
from tests.browser.site import STUDIO, VIBE, Site, Tenant, site
from tests.browser.watch import Watch
from withhold.domain.directory import SubjectKind
from withhold.domain.policy import Role
from withhold.web.auth import Scope, create_token

HOSTILE = [
    "<script>window.ran = true</script>",
    "<img src=x onerror='window.ran = true'>",
    "\"><svg onload='window.ran = true'>",
    "{{ 7 * 7 }} ${7 * 7} <b hx-get='/m' hx-trigger='load'>",
]
OWN = ["/console/vibe", "/console/privacy", "/console/data", "/console/history"]
ON_THE_PHONE = ["/m", "/m/data-controls", "/m/data", "/m/history", "/m/offline"]
ELSEWHERE = ["/", "/sign-in", "/console/nothing", "/m/nothing"]
OF_TENANT = ["vibe", "privacy", "data", "history"]
FIRST_LOAD_BYTES = 120_000

SHOWN = [
    WIDE,
    Look(PHONE, "dark"),
    pytest.param(Look(DESK, "dark"), marks=pytest.mark.slow),
    pytest.param(Look(PHONE, "light"), marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Tenant]]:
    """Give a server on which a lot happened, all of it with hostile names and texts."""
    with site(tmp_path_factory.mktemp("busy") / "home") as opened:
        acme = opened.tenant(HOSTILE[1], vibe="free", studio="free")
        person = opened.account(HOSTILE[0], (acme.id, Role.ADMIN))
        capture(opened, person)
        for allowed in (False, True, False):
            opened.turn(person, allowed, actor=person, surface="console")
        opened.turn(acme.id, False, STUDIO, kind=SubjectKind.ORGANIZATION, actor=person)
        yield opened, replace(acme, admin=person)


def capture(where: Site, account: str) -> None:
    """Capture hostile conversations of an account, and build a dataset that holds them."""
    token = create_token(where.ports, "capture", [Scope.CAPTURE, Scope.BUILD])
    rows = [
        {
            "id": f"row {number} {text}",
            "product": VIBE,
            "kind": "conversation",
            "account": account,
            "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}],
        }
        for number, text in enumerate(HOSTILE)
    ]
    with httpx.Client(
        base_url=where.address, headers={"Authorization": f"Bearer {token}"}, timeout=30
    ) as client:
        accepted = client.post("/v1/interactions", content=json.dumps(rows))
        assert accepted.json()["accepted"] == len(rows), accepted.text
        built = client.post("/v1/datasets/chat/versions", json={"product": VIBE})
        assert built.json()["admitted"] == len(rows), built.text


def addresses(acme: Tenant) -> list[str]:
    of_tenant = [f"{acme.start}/{page}" for page in OF_TENANT]
    return [*OWN, *of_tenant, *ON_THE_PHONE, *ELSEWHERE]


def nothing_ran(page: Page) -> None:
    """Expect that no text became markup."""
    assert page.evaluate("window.ran") is None
    assert page.locator("img[src='x'], svg[onload], b[hx-get], script:not([src])").count() == 0
    for text in HOSTILE:
        assert text not in page.content()


@pytest.mark.parametrize("look", SHOWN, ids=str)
def test_no_page_has_a_barrier_or_runs_what_people_wrote(
    busy: tuple[Site, Tenant], contexts: Contexts, watch: Watch, look: Look
) -> None:
    where, acme = busy
    context = contexts(look)
    signed_in(where, context, acme.admin)
    page = context.new_page()
    found = {}
    for address in addresses(acme):
        page.goto(where.address + address)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        nothing_ran(page)
        found[address] = violations(page)
        assert not is_wider_than_the_screen(page), address
    assert {address: each for address, each in found.items() if each} == {}
    watch.expected("status of 404")


def is_wider_than_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def test_what_people_wrote_is_on_no_page_at_all(
    busy: tuple[Site, Tenant], contexts: Contexts
) -> None:
    where, acme = busy
    context = contexts()
    signed_in(where, context, acme.admin)
    for address in addresses(acme):
        text = context.request.get(where.address + address).text()
        assert "row 0" not in text
        assert "7 * 7" not in text


@pytest.mark.parametrize("address", ["/", "/sign-in", "/console/vibe", "/m", "/m/data-controls"])
def test_a_first_page_is_small(shared: Site, contexts: Contexts, address: str) -> None:
    context = contexts(WIDE)
    signed_in(shared, context, shared.account("ana"))
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    received: list[float] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(shared.address + address)
    page.wait_for_timeout(200)  # what the page asks for by itself
    assert 0 < sum(received) < FIRST_LOAD_BYTES


@pytest.mark.slow
def test_the_demo_lists_its_accounts_and_lets_one_in_and_out(
    tmp_path: Path, contexts: Contexts
) -> None:
    with site(tmp_path / "home", "up") as where:
        for look in (WIDE, Look(PHONE, "dark", scripts=False)):
            page = contexts(look).new_page()
            page.goto(f"{where.address}/console")
            assert violations(page) == []
            page.get_by_role("button", name="vibe-free-1").first.click()
            page.wait_for_url("**/console/vibe")
            if page.get_by_role("button", name="Menu").is_visible():
                page.get_by_role("button", name="Menu").click()
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url(re.compile(r"/sign-in(\?|$)"))
            page.goto(f"{where.address}/m")
            expect(page).to_have_url(f"{where.address}/sign-in?next=/m")
            page.context.close()

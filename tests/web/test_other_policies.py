"""The pages are made from the policy in force: another file has other pages, labels and sentences."""

from __future__ import annotations

from tests.web.surfaces import STUDIO_LABEL, VIBE_LABEL, Surfaces
from withhold.app import shipped_policy
from withhold.domain.names import AccountId, OrganizationId, PlanId
from withhold.domain.policy import Role
from withhold.services import directory, policies
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.web.sign_in import Offered, OfferedGroup


def adopt(surfaces: Surfaces, *replacements: tuple[str, str]) -> None:
    text = shipped_policy()
    for old, new in (('version = "2026-11-26"', 'version = "2027-01-01"'), *replacements):
        assert old in text, old
        text = text.replace(old, new)
    policies.adopt(surfaces.ports, text)


def test_a3_another_path_and_label_are_shown_at_once_and_the_old_address_is_gone(
    surfaces: Surfaces,
) -> None:
    person = surfaces.person("free")
    adopt(
        surfaces,
        ('["Admin Console", "Manage", "Vibe", "Privacy"]', '["Panel", "Models", "Chat", "Use"]'),
        ('section = "Privacy"', 'section = "Use"'),
        (VIBE_LABEL, "Learn from me"),
        ("Your conversations with Vibe, inputs", "Whatever you write in Chat, inputs"),
    )
    page = person.open("/console/chat")
    headings = [page.name_of(heading) for heading in page.all("heading")]
    assert [h for h in headings if h in {"Models", "Chat", "Use", "Learn from me"}] == [
        "Models",
        "Chat",
        "Use",
        "Learn from me",
    ]
    assert "Whatever you write in Chat" in page.text
    assert person.press("switch", "Learn from me").control("switch")["aria-checked"] == "false"
    person.open("/console/vibe")
    assert person.answer.status_code == 404


def test_a3_another_reason_stands_beside_a_locked_switch(surfaces: Surfaces) -> None:
    adopt(surfaces, ("Off for everybody: Teams plan.", "Teams never train."))
    page = surfaces.person("teams").page
    assert "Teams never train." in page.described(page.control("switch", VIBE_LABEL))


def test_switches_of_one_page_are_turned_one_by_one(surfaces: Surfaces) -> None:
    adopt(
        surfaces,
        (
            '["Admin Console", "Privacy", "Anonymous improvement data"]',
            '["Admin Console", "Manage", "Vibe", "Anonymous improvement data"]',
        ),
    )
    person = surfaces.person("free")
    page = person.press("switch", STUDIO_LABEL)
    assert page.control("switch", STUDIO_LABEL)["aria-checked"] == "false"
    assert page.control("switch", VIBE_LABEL)["aria-checked"] == "true"
    page = person.press("switch", STUDIO_LABEL)
    assert [page.name_of(b) for b in page.all("button")].count("Turn on") == 1
    page = person.press("button", "Turn on")
    assert page.control("switch", STUDIO_LABEL)["aria-checked"] == "true"


def test_the_mobile_page_keeps_its_address_whatever_it_is_called(surfaces: Surfaces) -> None:
    adopt(surfaces, ("Data & Account Controls", "Privacy of mine"))
    person = surfaces.person("free")
    page = person.open("/m")
    assert page.links()["Privacy of mine On"] == "/m/data-controls"
    assert person.open("/m/data-controls").has("heading", "Privacy of mine")


def test_a_surface_that_no_product_has_any_more_says_what_to_do(surfaces: Surfaces) -> None:
    text = shipped_policy()
    start = text.index('[[products.surfaces]]\nid = "mobile"')
    end = text.index("# A2: the same switch for programs.")
    text = text[:start] + text[end:]
    policies.adopt(surfaces.ports, text.replace('"2026-11-23"', '"2027-01-01"', 1))
    page = surfaces.person("free").open("/m")
    assert "No switch stands here. Open the Admin Console to find yours." in page.text
    assert page.links()["Admin Console"] == "/console"


def test_hostile_ids_and_names_are_shown_as_text(surfaces: Surfaces) -> None:
    hostile = '"><script>alert(1)</script>'
    directory.put_organization(
        surfaces.ports, OrganizationRequest(OrganizationId("evil&co"), hostile)
    )
    account = AccountId(hostile)
    roles = ((OrganizationId("evil&co"), Role.ADMIN),)
    directory.put_account(surfaces.ports, AccountRequest(account, roles))
    group = OfferedGroup(
        surfaces.client.app.state.offered[0].product, PlanId("free"), (Offered(account, hostile),)
    )
    surfaces.client.app.state.offered = (group,)
    person = surfaces.person(hostile)
    for address in (
        "/console/vibe",
        "/console/history",
        "/console/organizations/evil%26co/vibe",
        "/console/organizations/evil%26co/history",
        "/m",
        "/m/history",
    ):
        page = person.open(address)
        assert person.answer.status_code == 200
        assert "<script>alert" not in page.source
        assert all(not e.text for e in page.elements if e.tag == "script")

"""Names with a slash in them, in addresses."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.web.conftest import Api
from tests.web.surfaces import STUDIO, STUDIO_LABEL, Surfaces, event_of
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, PlanId
from withhold.domain.policy import Role
from withhold.services import directory, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest

NAMES = ("acme/ana", "/", "a//b", "%2F", "a%2Fb", "../..", "ä/ö", "a b/c?d#e")


@pytest.mark.parametrize("name", NAMES)
def test_an_account_of_any_name_is_opened_and_turned_off(api: Api, name: str) -> None:
    address = f"/v1/accounts/{quote(name, safe='')}"
    opened = api.send("PUT", address, json={"plans": {"vibe": "free"}})
    assert opened.status_code == 200, opened.text
    assert opened.json()["id"] == name
    turned = api.send("PUT", f"{address}/preferences/vibe", json={"allowed": False})
    assert (turned.status_code, turned.json()["allowed"]) == (200, False)
    said = api.send("GET", f"{address}/preferences").json()
    assert said["vibe"]["allowed"] is False
    assert api.send("DELETE", address).status_code == 200


@pytest.mark.parametrize("row", ["https://example.org/1", "a\x1fb", "%2F%"])
def test_a_row_of_any_id_is_deleted(api: Api, row: str) -> None:
    api.account("ana")
    api.chat(row, "ana")
    gone = api.send("DELETE", f"/v1/interactions/{quote(row, safe='')}")
    assert gone.json() == {"rows": 1}, gone.text


@pytest.mark.parametrize("name", ["%2E", "%2E%2E", "%FF", "%C3", "acme%1Fana", "a%00"])
def test_a_name_that_no_address_can_hold_is_refused(api: Api, name: str) -> None:
    opened = api.send("PUT", f"/v1/accounts/{name}", json={"plans": {"vibe": "free"}})
    assert opened.status_code in {400, 404}, opened.text


@pytest.mark.parametrize("sent", ["acme%1Fana", "acme%00ana", "acme%1fana", "%EF%BF", "%FF"])
def test_what_no_name_can_hold_is_no_slash(api: Api, sent: str) -> None:
    api.account("acme%2Fana")
    answered = api.send("GET", f"/v1/accounts/{sent}/preferences")
    assert answered.status_code in {400, 404}
    assert answered.json()["instance"] == f"/v1/accounts/{sent}/preferences", "as it was sent"


def test_a_slash_between_parts_is_none_of_a_name(api: Api) -> None:
    api.account("acme%2Fana")
    assert api.send("GET", "/v1/accounts/acme/ana/preferences").status_code == 404


def test_an_organization_with_a_slash_in_its_id_is_opened_on_the_console(
    surfaces: Surfaces,
) -> None:
    directory.put_organization(
        surfaces.ports,
        OrganizationRequest(OrganizationId("acme/eu"), "Acme EU", {STUDIO: PlanId("free")}),
    )
    roles = tuple((OrganizationId(name), Role.ADMIN) for name in ("org-free", "acme/eu"))
    directory.put_account(surfaces.ports, AccountRequest(AccountId("head"), roles))
    admin = surfaces.person("head")
    address = admin.open("/console").links()["Acme EU"]
    assert address == "/console/organizations/acme%2Feu"
    admin.open(f"{address}/privacy")
    page = admin.press("switch", STUDIO_LABEL)
    assert page.control("switch", STUDIO_LABEL)["aria-checked"] == "false"
    holder = preferences.status(surfaces.ports, SubjectKind.ORGANIZATION, "acme/eu", STUDIO)
    assert not holder.allowed
    receipt = admin.keep(f"{address}/receipts/{holder.receipt}.html")
    assert event_of(receipt)["holder"] == "organization"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("produkt=vibe", "unknown parameter 'produkt'; expected product"),
        ("product=vibe&product=studio", "product is there twice"),
        ("product=vibe&all=1", "unknown parameter 'all'"),
    ],
)
def test_a_mistyped_query_deletes_nothing(api: Api, query: str, said: str) -> None:
    api.account("ana")
    api.chat("one", "ana")
    refused = api.send("DELETE", f"/v1/interactions/one?{query}")
    assert refused.status_code == 400
    assert said in refused.json()["detail"]
    assert api.send("DELETE", "/v1/interactions/one?product=vibe").json() == {"rows": 1}


def test_a_product_that_is_none_is_named(api: Api) -> None:
    refused = api.send("DELETE", "/v1/interactions/one?product=nope")
    assert (refused.status_code, "nope" in refused.json()["detail"]) == (404, True)


@pytest.mark.parametrize("path", ["/", "/healthz", "/console", "/log/checkpoint", "/nowhere"])
def test_head_is_get_without_a_body(api: Api, path: str) -> None:
    got, asked = (api.client.request(m, path, follow_redirects=False) for m in ("GET", "HEAD"))
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    assert asked.headers["content-type"] == got.headers["content-type"]

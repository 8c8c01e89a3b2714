"""On a person's pages: proofs about datasets to keep, and what the own browser says against training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.surfaces import VIBE, Surfaces
from withhold.adapters.exports import export_to
from withhold.adapters.signing import verifies
from withhold.domain import dataset_proofs
from withhold.domain.checkpoints import Trust
from withhold.domain.datasets import parse_ref
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId
from withhold.services import builds, capture, exports, tagging

PAGES = [pytest.param("/console", id="console"), pytest.param("/m", id="mobile")]


def build_with_a_row_of(surfaces: Surfaces, account: str) -> None:
    said = (Message("user", "a sentence"),)
    row = Interaction("r1", VIBE, InteractionKind.CONVERSATION, AccountId(account), said)
    capture.capture(surfaces.ports, [row])
    builds.build(surfaces.ports, "chat", VIBE)


@pytest.mark.parametrize("base", PAGES)
def test_each_dataset_is_listed_with_a_proof_that_holds_without_us(
    surfaces: Surfaces, base: str
) -> None:
    builds.build(surfaces.ports, "chat", VIBE)
    person = surfaces.person("free")
    page = person.open(f"{base}/data")
    assert "chat@1" in page.text
    assert "Proof about chat@1" not in page.links()  # not before it is tagged
    tagging.tag_all(surfaces.ports)
    address = person.open(f"{base}/data").links()["Proof about chat@1"]
    given = person.send("GET", address)
    assert given.headers["content-disposition"] == 'attachment; filename="proof-chat@1.json"'
    trust = Trust(surfaces.ports.log.origin, surfaces.ports.log.keys())
    found = dataset_proofs.check(given.json(), trust, verifies)
    assert (found.account, found.dataset, found.present) == ("free", "chat@1", False)


@pytest.mark.parametrize("base", PAGES)
@pytest.mark.parametrize("reference", ["chat@7", "chat", "..%2f", "chat@x", "\N{PILE OF POO}@1"])
def test_a_proof_about_what_is_not_there_is_refused(
    surfaces: Surfaces, base: str, reference: str
) -> None:
    person = surfaces.person("free")
    person.send("GET", f"{base}/proofs/{reference}")
    assert person.answer.status_code == 404


@pytest.mark.parametrize("base", PAGES)
def test_nobody_who_is_not_signed_in_is_given_a_proof(surfaces: Surfaces, base: str) -> None:
    builds.build(surfaces.ports, "chat", VIBE)
    tagging.tag_all(surfaces.ports)
    visitor = surfaces.visitor()
    visitor.send("GET", f"{base}/proofs/chat@1")
    assert visitor.answer.status_code == 303
    assert "secret" not in visitor.answer.text


def test_an_organization_is_offered_no_proofs(surfaces: Surfaces) -> None:
    builds.build(surfaces.ports, "chat", VIBE)
    tagging.tag_all(surfaces.ports)
    page = surfaces.person("boss").open("/console/organizations/org-scale/data")
    assert "Proof about chat@1" not in page.links()


@pytest.mark.parametrize("path", ["/console/vibe", "/m/data-controls"])
def test_a_signal_of_ones_own_browser_is_shown_as_honoured(surfaces: Surfaces, path: str) -> None:
    person = surfaces.person("free")
    person.send("GET", path, headers={"Sec-GPC": "1"})
    assert "Your browser sends Global Privacy Control; the policy honours it" in person.answer.text
    person.send("GET", path)
    assert "Global Privacy Control" not in person.answer.text


@pytest.mark.parametrize("base", PAGES)
def test_a_version_that_held_rows_has_its_proof_in_its_own_row_and_no_other(
    surfaces: Surfaces, base: str
) -> None:
    build_with_a_row_of(surfaces, "free")
    tagging.tag_all(surfaces.ports)
    for account, present, told in (
        ("free", True, "Held rows of yours when it was committed"),
        ("pro", False, "Had no rows of yours"),
    ):
        person = surfaces.person(account)
        page = person.open(f"{base}/data")
        listed = [e for e in page.all("link") if page.name_of(e) == "Proof about chat@1"]
        assert len(listed) == 1
        assert told in page.text
        assert person.send("GET", listed[0]["href"]).json()["present"] is present


def test_exports_with_as_many_rows_are_told_in_one_line(surfaces: Surfaces, tmp_path: Path) -> None:
    build_with_a_row_of(surfaces, "free")
    for number in range(3):
        writer = export_to(tmp_path / f"export-{number}", "jsonl")
        exports.export(surfaces.ports, parse_ref("chat@1"), writer)
    text = surfaces.person("free").open("/console/data").text
    first = surfaces.ports.datasets.exports()[0].contents.cutoff
    assert text.count("as of position") == 1
    assert "3 exports of" in text
    assert f"as of positions {first} to {first + 2}, " in text
    assert "each hold 1 row: copies that are listed, not recalled" in text

"""A product that comes, goes and comes back: what people said of others holds for it (S6)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.conftest import ROOT
from tests.simulator import SHIPPED, Provider, interaction, turns
from withhold.domain import policy_file
from withhold.domain.interactions import Interaction, InteractionKind
from withhold.domain.names import AccountId
from withhold.domain.preferences import Source
from withhold.errors import UnknownProduct
from withhold.services import capture, policies
from withhold.services.erasure import erase

SHA = "b" * 64
AGENT = """

[[products]]
id = "agent"
label = "Agent"
purpose = "model_training"
personal_plan = "free"
deidentified = false
covers = "All."

[[products.plans]]
id = "free"
label = "Free"
default_on = true
locked = false
held_by = "account"

[[products.surfaces]]
id = "api"
path = ["PUT /v1/accounts/{id}/preferences/agent"]
control = "field"
label = "allowed"
"""


class Versions(Provider):
    """A provider that offers the product `agent`, or does not."""

    version = 0

    def offer(self, *, agent: bool) -> None:
        self.version += 1
        text = SHIPPED.read_text(encoding="utf-8") + (AGENT if agent else "")
        policies.adopt(self.ports, text.replace('version = "', f'version = "{self.version}-', 1))

    def history(self, account: str) -> list[str]:
        """Import a row of `agent` from before all records; return what a build has of it."""
        row = interaction(account, f"old-{account}", product="agent")
        capture.capture(self.ports, [row], history=True)
        self.build("agents", "agent")
        return self.load("agents@latest")


@pytest.fixture
def provider() -> Iterator[Versions]:
    home = Path(tempfile.mkdtemp(prefix="withhold-", dir=ROOT))
    made = Versions(home)
    yield made
    made.close()
    shutil.rmtree(home)


def test_whoever_was_never_out_has_an_attested_history_of_a_new_product(provider: Versions) -> None:
    provider.sign_up("ana")
    provider.offer(agent=True)
    assert provider.history("ana") == ["old-ana"]


def test_whoever_opened_on_from_now_has_no_attested_history(provider: Versions) -> None:
    provider.sign_up("ana", opens="on_from_now")
    provider.offer(agent=True)
    assert provider.status("ana", "agent").allowed
    assert provider.history("ana") == []


def test_whoever_was_out_once_has_no_attested_history(provider: Versions) -> None:
    provider.sign_up("ana")
    provider.opt_out("ana")
    provider.opt_in("ana")
    provider.offer(agent=True)
    assert provider.status("ana", "agent").allowed
    assert provider.history("ana") == []


def test_a_new_product_is_off_for_a_whole_group_of_which_one_said_out(provider: Versions) -> None:
    provider.sign_up("ana")
    provider.sign_up("bo")
    provider.merge("ana", "bo")
    provider.opt_out("ana")
    provider.opt_in("bo")
    provider.offer(agent=True)
    assert not provider.status("ana", "agent").allowed
    assert not provider.status("bo", "agent").allowed


def test_a_product_that_comes_back_is_off_for_whoever_said_out_meanwhile(
    provider: Versions,
) -> None:
    provider.sign_up("ana")
    provider.offer(agent=True)
    provider.offer(agent=False)
    provider.opt_out("ana")
    provider.offer(agent=True)
    status = provider.status("ana", "agent")
    assert (status.allowed, status.source) == (False, Source.ACCOUNT)
    assert provider.ports.ledger.verify() == provider.head


def test_an_off_is_taken_while_its_product_is_gone_and_stands_when_it_is_back(
    provider: Versions,
) -> None:
    provider.sign_up("ana")
    provider.offer(agent=True)
    provider.offer(agent=False)
    status = provider.opt_out("ana", "agent")
    assert (status.allowed, status.position) == (False, provider.head)
    assert provider.opt_out("ana", "agent").position == status.position
    with pytest.raises(UnknownProduct):
        provider.opt_in("ana", "agent")
    provider.offer(agent=True)
    assert not provider.status("ana", "agent").allowed


def test_an_off_while_a_product_is_gone_reaches_a_group_with_an_account_that_came_later(
    provider: Versions,
) -> None:
    provider.sign_up("ana")
    provider.offer(agent=True)
    provider.offer(agent=False)
    provider.sign_up("bo")
    provider.merge("ana", "bo")
    with pytest.raises(UnknownProduct):
        provider.opt_out("bo", "agent")
    provider.opt_out("ana", "agent")
    provider.offer(agent=True)
    assert not provider.status("bo", "agent").allowed


def test_content_of_a_product_that_left_does_not_spoil_the_batch(provider: Versions) -> None:
    provider.sign_up("ana")
    provider.sign_up("bo")
    provider.offer(agent=True)
    kind = InteractionKind.DOCUMENT
    provider.send(interaction("ana", "d1", product="agent", kind=kind, sha256=SHA))
    provider.offer(agent=False)
    provider.found("acme", vibe="pro")
    provider.move("ana", "acme")
    answer = provider.send(interaction("bo", "r1"), interaction("bo", "r2", attachments=(SHA,)))
    assert (answer.accepted, answer.withheld, answer.rejected) == (1, 1, ())


def test_words_of_a_product_that_is_gone_are_not_brought_in_when_it_returns(
    provider: Versions,
) -> None:
    provider.sign_up("bo")
    provider.offer(agent=True)
    provider.opt_out("bo", "agent")
    provider.offer(agent=False)

    def said(row: str, *pairs: str) -> Interaction:
        return interaction("bo", row, product="agent", conversation="c", messages=turns(*pairs))

    assert provider.send(said("r1", "a")).withheld == 1
    provider.offer(agent=True)
    provider.opt_in("bo", "agent")
    assert provider.send(said("r2", "a", "b")).withheld == 1
    assert provider.send(said("r3", "c")).accepted == 1


def test_a_document_of_somebody_erased_before_the_product_came_spoils_the_chat(
    provider: Versions,
) -> None:
    provider.sign_up("ana")
    provider.sign_up("bo")
    kind = InteractionKind.DOCUMENT
    provider.send(interaction("bo", "d1", kind=kind, sha256=SHA))
    erase(provider.ports, AccountId("bo"))
    provider.offer(agent=True)

    def said(row: str, *pairs: str, **more: Any) -> Interaction:
        return interaction(
            "ana", row, product="agent", conversation="c", messages=turns(*pairs), **more
        )

    assert provider.send(said("r1", "a", attachments=(SHA,))).withheld == 1
    assert provider.send(said("r2", "a", "b")).withheld == 1


def test_a_late_row_of_somebody_without_a_standing_does_not_fail_the_batch(
    provider: Versions,
) -> None:
    provider.sign_up("ana")
    provider.offer(agent=True)
    token = provider.token()
    kind = InteractionKind.DOCUMENT
    provider.send(interaction("ana", "d1", kind=kind, sha256=SHA))
    provider.send(interaction("ana", "r1", product="agent", attachments=(SHA,)))
    provider.offer(agent=False)
    provider.sign_up("zoe")
    late = interaction("zoe", "d2", kind=kind, sha256=SHA, token=token)
    answer = provider.send(late, interaction("ana", "r2"))
    assert (answer.accepted, answer.rejected) == (2, ())


def test_an_adoption_that_ended_midway_keeps_nobody_on_from_before_they_were_out(
    provider: Versions,
) -> None:
    provider.sign_up("ana")
    provider.opt_out("ana")
    provider.opt_in("ana")
    text = SHIPPED.read_text(encoding="utf-8") + AGENT
    policies._prepare(provider.ports, policy_file.loads(text))  # and then the process ended
    provider.opt_out("ana")
    token = provider.token()
    provider.sign_up("bo")
    provider.opt_in("ana")
    provider.offer(agent=True)
    made_while_out = interaction("ana", "r1", product="agent", token=token)
    assert provider.send(made_while_out).withheld == 1
    assert provider.send(interaction("ana", "r2", product="agent")).accepted == 1

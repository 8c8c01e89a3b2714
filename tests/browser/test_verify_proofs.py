"""The page that checks receipts also checks proofs about datasets, and says what the command says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests import contradictory_proofs, forged
from tests.browser.accessibility import violations
from tests.browser.checker import Checker
from tests.browser.chromium import NARROW, WIDE, Look
from tests.simulator import Provider
from withhold.adapters.signing import verifies
from withhold.cli.checking import proof_in
from withhold.domain import dataset_proofs
from withhold.domain.datasets import parse_ref
from withhold.domain.names import AccountId
from withhold.errors import VerificationError
from withhold.formats import proof_words
from withhold.services import absence, receipts
from withhold.web import verify_page

Contexts = Callable[..., BrowserContext]
Proofs = dict[str, bytes]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of the page as a file on a disk."""
    file = tmp_path_factory.mktemp("page") / "verify.html"
    file.write_text(verify_page.alone(), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> tuple[Proofs, str]:
    """Give the proofs of who had rows, had none, and came later, and the log's key."""
    provider = Provider(tmp_path_factory.mktemp("proofs") / "home")
    for person in ("ana", "bo"):
        provider.sign_up(person)
    provider.chat("ana", "a1")
    provider.chat("bo", "b1")
    provider.opt_out("bo")
    provider.build("chat")
    provider.tag()
    provider.sign_up("cy")
    found = {
        name: contradictory_proofs.text_of(
            absence.prove(provider.ports, AccountId(name), parse_ref("chat@1"))
        )
        for name in ("ana", "bo", "cy")
    }
    key = "\n".join(receipts.keys(provider.ports))
    provider.close()
    return found, key


def said_by_command(data: bytes) -> str:
    try:
        document = proof_in(data)
        if document is None:
            return "no proof"
        found = dataset_proofs.check(document, forged.TRUST, verifies)
    except VerificationError as error:
        step = re.match("dataset proof, step ([1-7]) ", str(error))
        return f"fails at {step[1]}" if step else str(error)
    return "holds" if found.is_signed else "unsigned"


def test_page_and_command_agree_on_every_contradictory_proof_and_on_its_step(
    contexts: Contexts, alone: str
) -> None:
    checker = Checker(contexts().new_page()).open(alone, str(forged.SIGNER.key))
    cases = list(contradictory_proofs.all_cases())
    said = [said_by_command(data) for _, data in cases]
    assert set(said) == {"holds", *(f"fails at {step}" for step in range(1, 8))}
    assert checker.differences(cases, said) == {}


@pytest.mark.parametrize(
    ("who", "says"),
    [
        ("ana", "chat@1 had rows of ana when it was committed"),
        ("bo", "chat@1 had no rows of bo when it was committed"),
        ("cy", "was opened after chat@1 was committed"),
    ],
)
def test_a_proof_holds_without_a_network_and_says_what_it_shows_and_what_not(
    contexts: Contexts, alone: str, issued: tuple[Proofs, str], who: str, says: str
) -> None:
    proofs, key = issued
    context = contexts()
    context.set_offline(True)
    checker = Checker(context.new_page()).open(alone, key)
    assert checker.choose(proofs[who], "proof.json") == "holds"
    expect(checker.result).to_contain_text("The proof holds")
    expect(checker.result).to_contain_text(says)
    for each in proof_words.NOT_WORTH:
        expect(checker.result).to_contain_text(each)
    checker.result.get_by_text("7 steps that held").click()
    expect(checker.result.locator("details[open] li")).to_have_count(7)


def test_without_a_key_who_signed_stays_open_and_another_logs_key_says_nothing_of_the_proof(
    contexts: Contexts, alone: str, issued: tuple[Proofs, str]
) -> None:
    proofs, key = issued
    checker = Checker(contexts().new_page()).open(alone)
    assert checker.choose(proofs["bo"]) == "unsigned"
    expect(checker.result).to_contain_text("What it would show, once it is known who signed")
    checker.page.get_by_label("Key, one a line").fill(str(forged.SIGNER.key))
    expect(checker.result).to_contain_text("Enter the key of that log")
    expect(checker.result).not_to_contain_text("does not hold")
    checker.page.get_by_label("Key, one a line").fill(key)
    expect(checker.result).to_contain_text("The proof holds")


def test_no_byte_of_a_proof_that_was_changed_makes_it_say_something_else(
    contexts: Contexts, alone: str, issued: tuple[Proofs, str]
) -> None:
    proofs, key = issued
    checker = Checker(contexts().new_page()).open(alone, key)
    data = proofs["bo"]
    altered = []
    for place in range(0, len(data), 23):
        changed = bytearray(data)
        changed[place] ^= 0x01
        altered.append(bytes(changed))
    for each, verdict in zip(altered, checker.give_each(altered), strict=True):
        assert verdict != "holds" or json.loads(each) == json.loads(data), each


@pytest.mark.parametrize("look", [WIDE, NARROW, Look(scheme="dark")], ids=str)
def test_what_is_found_of_a_proof_has_no_barrier_and_fits(
    contexts: Contexts, alone: str, issued: tuple[Proofs, str], look: Look, tmp_path: Path
) -> None:
    proofs, key = issued
    checker = Checker(contexts(look).new_page()).open(alone, key)
    for document in (proofs["ana"], proofs["cy"], proofs["bo"].replace(b"false", b"true")):
        checker.choose(document)
        assert violations(checker.page) == []
        assert checker.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

"""The page that checks receipts, in Chromium with WebCrypto: served, and opened from a disk."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests import contradictions, forged
from tests.browser.accessibility import violations
from tests.browser.checker import Checker
from tests.browser.chromium import LOOKS, NARROW, WIDE, Look
from tests.browser.site import Site
from withhold.adapters.signing import verifies
from withhold.domain import receipts as files
from withhold.domain.canonical_json import canonical
from withhold.domain.names import Position
from withhold.domain.receipts import Document
from withhold.errors import VerificationError
from withhold.formats import receipt_pdf
from withhold.formats.receipt_words import told
from withhold.services import log, receipts
from withhold.web import receipt_page, verify_page

Contexts = Callable[..., BrowserContext]


@pytest.fixture
def issued(shared: Site) -> tuple[str, Document, Document]:
    """Give a person, the receipt of their opt-out, and the form to show."""
    ana = shared.account("ana")
    off = shared.turn(ana, allowed=False, surface="console", notice="2026-11-23")
    return (
        ana,
        receipts.receipt(shared.ports, off.receipt),
        receipts.redacted(shared.ports, off.receipt),
    )


@pytest.fixture
def key(shared: Site) -> str:
    return "\n".join(receipts.keys(shared.ports))


@pytest.fixture
def alone(tmp_path: Path) -> str:
    """Give the address of the page as a file on a disk."""
    file = tmp_path / "verify.html"
    file.write_text(verify_page.alone(), encoding="utf-8")
    return file.as_uri()


def test_the_page_says_nothing_of_a_person_where_an_entry_is_public(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document]
) -> None:
    checker = Checker(contexts().new_page()).open(f"{shared.address}/verify")
    assert checker.choose(issued[1]) == "holds"
    expect(checker.result).to_contain_text("That whoever shows this is who it names.")
    of_nobody = receipts.receipt(shared.ports, "1")
    assert checker.choose(of_nobody) == "holds"
    for said in told(files.read(of_nobody)).does_not:
        expect(checker.result).to_contain_text(said)
    expect(checker.result).not_to_contain_text("whoever shows this")


def test_the_served_page_checks_a_receipt_and_says_what_the_command_says(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document]
) -> None:
    ana, full, shown = issued
    checker = Checker(contexts().new_page()).open(f"{shared.address}/verify")
    assert checker.choose(full) == "holds"
    text = checker.result.inner_text()
    for words in (
        "The receipt holds",
        f"account {ana}",
        "Training on your Vibe data: off",
        "Admin Console",
    ):
        assert words in text
    assert f"{full['position']:,}" in text
    assert checker.choose(shown) == "holds"
    assert ana not in checker.result.inner_text()


def test_from_a_disk_without_a_network_it_checks_with_a_key_that_is_entered(
    contexts: Contexts, issued: tuple[str, Document, Document], key: str, alone: str
) -> None:
    ana, full, _ = issued
    context = contexts()
    context.set_offline(True)
    checker = Checker(context.new_page()).open(alone)
    assert checker.choose(full) == "unsigned"
    assert "would prove" in checker.result.inner_text()
    checker.page.get_by_label("Key, one a line").fill(key)
    expect(checker.result).to_contain_text("The receipt holds")
    expect(checker.result).to_contain_text(f"account {ana}")


def test_every_step_fails_by_its_name(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document], key: str, alone: str
) -> None:
    _, full, shown = issued
    bo = shared.account("bo")
    other = receipts.receipt(shared.ports, shared.turn(bo, allowed=False).receipt)
    proof, text = str(full["proof"]), str(full["jws"])
    cut, signature = text.rsplit(".", 1)
    swapped = ("B" if signature[0] == "A" else "A") + signature[1:]
    checker = Checker(contexts().new_page()).open(alone, key)
    for change, step in (
        (b'{"jws":', "Step 1"),
        (b"[" * 100_000 + b'"jws"', "Step 1"),
        (json.dumps(full).encode(), "Step 1"),
        ({**full, "format": "withhold/receipt/v1"}, "Step 1"),
        ({**full, "position": 1}, "Step 2"),
        ({**full, "jws": shown["jws"]}, "Step 2"),
        ({**full, "event": str(full["event"]).replace("opted_out", "opted_in")}, "Step 3"),
        ({**full, "opening": other["opening"]}, "Step 3"),
        ({**full, "event": other["event"], "opening": other["opening"]}, "Step 3"),
        ({**full, "proof": proof[:-6] + ("AAAA" if proof[-6:-2] != "AAAA" else "BBBB") + "\n"},
         "Step"),
        ({**full, "proof": other["proof"]}, "Step 5"),
        ({**full, "jws": f"{cut}.{swapped}"}, "Step 6"),
    ):  # fmt: skip
        data = change if isinstance(change, bytes) else canonical(change)
        assert checker.choose(data) == "fails", step
        assert step in checker.result.inner_text()
    assert checker.choose(full) == "holds"


@pytest.mark.slow
def test_page_and_command_agree_on_every_contradiction_and_on_its_step(
    contexts: Contexts, alone: str
) -> None:
    checker = Checker(contexts().new_page()).open(alone, str(forged.SIGNER.key))
    cases = list(contradictions.all_cases())
    said = [_said_by_command(data) for _, data in cases]
    assert set(said) == {"holds", *(f"fails at {step}" for step in range(1, 7))}
    assert checker.differences(cases, said) == {}


def _said_by_command(data: bytes) -> str:
    try:
        return "holds" if files.verify(data, forged.TRUST, verifies).is_signed else "unsigned"
    except VerificationError as error:
        found = re.match("receipt, step ([1-6]) ", str(error))
        return f"fails at {found[1]}" if found else str(error)


def test_no_byte_that_was_changed_holds(
    contexts: Contexts, issued: tuple[str, Document, Document], key: str, alone: str
) -> None:
    _, full, _ = issued
    checker = Checker(contexts().new_page()).open(alone, key)
    data = files.encoded(full)
    for place in range(0, len(data), 97):
        altered = bytearray(data)
        altered[place] ^= 0x01
        assert checker.choose(bytes(altered)) == "fails", place


def test_entries_of_every_kind_and_after_a_rotation_verify(
    shared: Site, contexts: Contexts, alone: str
) -> None:
    log.replace_key(shared.ports)
    shared.account("after-the-rotation")
    keys = "\n".join(receipts.keys(shared.ports))
    checker = Checker(contexts().new_page()).open(alone, keys)
    head = shared.ports.ledger.head()
    for position in {1, 2, head - 1, head}:
        assert checker.choose(receipts.receipt(shared.ports, str(Position(position)))) == "holds"
    checker.page.get_by_label("Key, one a line").fill(keys.split("\n")[0])
    expect(checker.result).to_contain_text("may have a newer key")


def test_a_key_that_is_wrong_is_refused_and_one_that_is_kept_is_there_again(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document], key: str
) -> None:
    context = contexts()
    checker = Checker(context.new_page()).open(f"{shared.address}/verify", "nonsense")
    assert checker.choose(issued[1]) == "unchecked"
    assert "Could not be checked" in checker.result.inner_text()
    assert "Step 0 (key)" in checker.result.inner_text()
    checker.page.get_by_label("Key, one a line").fill(key)
    checker.page.get_by_label("Keep it in this browser").check()
    again = Checker(context.new_page()).open(f"{shared.address}/verify")
    expect(again.page.get_by_label("Keep it in this browser")).to_be_checked()
    assert again.choose(issued[1]) == "holds"


PDF = receipt_pdf.pdf(forged.receipt(), [str(forged.SIGNER.key)])
CUT_OFF = canonical(forged.dataset_proof())[:-9]
MISTAKES = [
    pytest.param(b"%PDF-1.3\n", "attached inside it", id="a PDF"),
    pytest.param(PDF, "attached inside it", id="the PDF of a receipt"),
    pytest.param(b'{"jws":' + b" " * files.MAX_BYTES, "larger than any receipt", id="a large file"),
    pytest.param(CUT_OFF, "was cut off or altered", id="a part of a proof"),
    pytest.param(f"{forged.SIGNER.key}\n".encode(), "the box for the key", id="a file of keys"),
    pytest.param(b"\x89PNG\r\n\x1a\n", "not the file of a receipt", id="a picture"),
    pytest.param(b"{}", "not the file of a receipt", id="another JSON file"),
    pytest.param(b"", "not the file of a receipt", id="nothing"),
]


@pytest.mark.parametrize(("data", "told"), MISTAKES)
def test_a_file_that_is_no_receipt_is_not_called_one_that_does_not_hold(
    contexts: Contexts, key: str, alone: str, data: bytes, told: str
) -> None:
    checker = Checker(contexts().new_page()).open(alone, key)
    assert checker.choose(data) == "unchecked"
    said = checker.result.inner_text()
    assert "Could not be checked" in said
    assert told in said
    assert "does not hold" not in said


@pytest.mark.parametrize("wrong", ["garbage", "mistyped", "another log"])
def test_a_key_that_is_wrong_says_nothing_about_the_receipt_and_what_to_do(
    contexts: Contexts, issued: tuple[str, Document, Document], key: str, alone: str, wrong: str
) -> None:
    last = "A" if key[-1] != "A" else "B"
    keys = {"garbage": "%%%", "mistyped": key[:-1] + last, "another log": str(forged.SIGNER.key)}
    checker = Checker(contexts().new_page()).open(alone, keys[wrong])
    assert checker.choose(issued[1]) == "unchecked"
    said = checker.result.inner_text()
    assert "does not hold" not in said
    assert ("Enter the key of that log" if wrong == "another log" else "Copy it again") in said
    checker.page.get_by_label("Key, one a line").fill(key)
    expect(checker.result).to_contain_text("The receipt holds")


def test_the_page_says_whose_key_is_in_the_box_and_forgets_a_file_that_is_taken_back(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document], key: str
) -> None:
    checker = Checker(contexts().new_page()).open(f"{shared.address}/verify")
    source, box = checker.page.locator("#key-source"), checker.page.get_by_label("Key, one a line")
    expect(source).to_be_visible()
    assert checker.choose(issued[1]) == "holds"
    box.fill(str(forged.SIGNER.key))
    expect(source).to_be_hidden()
    box.fill(key)
    expect(source).to_be_visible()
    checker.page.get_by_label("Choose the file").set_input_files([])
    expect(checker.result).to_be_empty()


def test_the_verdict_stands_above_the_key_with_an_icon_and_the_steps_that_held(
    contexts: Contexts, issued: tuple[str, Document, Document], key: str, alone: str
) -> None:
    checker = Checker(contexts().new_page()).open(alone, key)
    _, full, _ = issued
    broken = {**full, "event": str(full["event"]).replace("opted_out", "opted_in")}
    for document, verdict, steps in ((full, "holds", 6), (broken, "fails", 2)):
        assert checker.choose(document) == verdict
        expect(checker.result.locator("h2 svg")).to_be_visible()
        checker.result.get_by_text(f"{steps} steps that held").click()
        expect(checker.result.locator("details[open] li")).to_have_count(steps)
        above, below = checker.result.bounding_box(), checker.page.locator("#keys").bounding_box()
        assert above is not None
        assert below is not None
        assert above["y"] + above["height"] <= below["y"]


def test_the_page_sends_nothing_anywhere(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document]
) -> None:
    page = contexts().new_page()
    asked: list[str] = []
    checker = Checker(page).open(f"{shared.address}/verify")
    page.on("request", lambda request: asked.append(request.url))
    assert checker.choose(issued[1]) == "holds"
    assert asked == []


def test_the_page_is_worked_by_the_keyboard_alone(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document]
) -> None:
    page = contexts().new_page()
    checker = Checker(page).open(f"{shared.address}/verify")
    reached = []
    for _ in range(3):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["keys", "keep", "file"]
    assert checker.choose(issued[1]) == "holds"


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_page_has_no_barrier(shared: Site, contexts: Contexts, look: Look) -> None:
    page = contexts(look).new_page()
    page.goto(f"{shared.address}/verify")
    assert page.get_by_role("heading", level=1).is_visible()
    assert violations(page) == []
    if not look.scripts:
        assert "This page needs scripts" in page.inner_text("main")


@pytest.mark.parametrize("look", [WIDE, NARROW], ids=str)
def test_what_is_found_has_no_barrier_and_fits(
    shared: Site, contexts: Contexts, issued: tuple[str, Document, Document], look: Look
) -> None:
    checker = Checker(contexts(look).new_page()).open(f"{shared.address}/verify")
    broken = {**issued[1], "position": 1}
    for document in (issued[1], b"{", canonical(broken)):
        checker.choose(document)
        assert violations(checker.page) == []
        assert checker.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("look", [WIDE, NARROW, Look(scheme="dark")], ids=str)
def test_the_printed_page_has_no_barrier(
    contexts: Contexts, issued: tuple[str, Document, Document], key: str, look: Look, tmp_path: Path
) -> None:
    file = tmp_path / "receipt.html"
    file.write_text(receipt_page.alone(issued[1], key.split("\n")), encoding="utf-8")
    page = contexts(look).new_page()
    page.goto(file.as_uri())
    assert violations(page) == []
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"

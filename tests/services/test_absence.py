"""A person's proof about a dataset: checked with the log's public key alone, and never wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.json_values import json_values
from tests.simulator import Provider, rewritten
from withhold.adapters.embedded import open_embedded
from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain import dataset_proofs
from withhold.domain.absence import tag_of
from withhold.domain.checkpoints import LogKey, Trust
from withhold.domain.datasets import parse_ref
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.domain.notes import SignatureType, decoded, encoded
from withhold.errors import (
    NotTagged,
    UnknownAccount,
    UnknownDataset,
    VerificationError,
)
from withhold.services import absence, erasure, lookups
from withhold.services import log as logs

Document = dict[str, Any]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path / "home")
    for person in ("ana", "bo", "cy"):
        made.sign_up(person)
    made.chat("ana", "a1")
    made.chat("bo", "b1")
    made.opt_out("bo")
    made.build("chat")
    made.tag()
    yield made
    made.close()


def erase(provider: Provider, account: str) -> None:
    """Delete a person's key, which is all that erasing comes down to for tags."""
    with provider.ports.ledger.directory() as directory:
        subject = directory.find(SubjectKind.ACCOUNT, account)
    assert subject is not None
    connection = apsw.Connection(str(provider.home / "keys.db"))
    connection.execute("DELETE FROM keys WHERE subject = ?", (subject.no,))
    connection.close()
    provider.crash()


def lose_tags(provider: Provider) -> None:
    for path in (provider.home / "tags").rglob("*.tags"):
        path.unlink()


def test_presence_and_absence_are_shown_with_where_they_stand(provider: Provider) -> None:
    dataset = provider.ports.datasets.get(parse_ref("chat@1"))
    assert dataset is not None
    for person, present in (("ana", True), ("bo", False), ("cy", False)):
        found = provider.verdict(provider.prove(person, "chat@1"))
        assert (found.account, found.dataset, found.present) == (person, "chat@1", present)
        assert found.commit == dataset.position == found.tagged - 1
        assert found.manifest == dataset.manifest.sha256()
        record = provider.ports.ledger.record(found.opened)
        assert record is not None and json.loads(record.event)["subject"] == person
        assert found.checkpoint.checkpoint.head.size == provider.head


def test_an_opt_out_after_the_commit_leaves_the_old_versions_proof_as_it_was(
    provider: Provider,
) -> None:
    before = provider.prove("ana", "chat@1")
    provider.opt_out("ana")
    provider.build("chat")
    provider.tag()
    assert provider.is_in("ana", "chat@1")
    assert not provider.is_in("ana", "chat@2")
    assert provider.verdict(before).present
    assert lookups.show(provider.ports, parse_ref("chat@1")).admitted == 0


def test_an_account_that_was_opened_after_the_commit_is_neither_in_it_nor_shown_to_be_absent(
    provider: Provider,
) -> None:
    """A name may be given again: two proofs under one name must not contradict each other."""
    before = provider.prove("ana", "chat@1")
    erasure.erase(provider.ports, AccountId("ana"))
    provider.sign_up("ana")
    after = provider.prove("ana", "chat@1")
    assert after["present"] is None
    found = provider.verdict(after)
    assert found.is_vacuous and found.present is None and found.opened > found.commit
    assert "had no rows" not in found.said
    assert provider.verdict(before).present is True
    for claimed in (False, True, 0):
        refused(provider, {**after, "present": claimed})
    refused(provider, {**provider.prove("bo", "chat@1"), "present": None})
    provider.build("chat")
    provider.tag()
    assert not provider.is_in("ana", "chat@2"), "of a version committed after it absence is shown"


def test_latest_is_proven_under_its_own_name(provider: Provider) -> None:
    provider.build("chat")
    provider.tag()
    assert provider.prove("ana", "chat@latest")["dataset"] == "chat@2"


def test_what_cannot_be_proven_is_told_apart(provider: Provider) -> None:
    with pytest.raises(UnknownAccount):
        provider.prove("nobody", "chat@1")
    with pytest.raises(UnknownAccount):
        provider.prove("half of a character \ud800", "chat@1")
    with pytest.raises(UnknownDataset):
        provider.prove("ana", "chat@2")
    provider.build("chat")
    with pytest.raises(NotTagged, match="chat@2 is not tagged yet"):
        provider.prove("ana", "chat@2")


def test_after_erasure_nobody_makes_the_tag_again_and_old_proofs_still_hold(
    provider: Provider,
) -> None:
    kept = {person: provider.prove(person, "chat@1") for person in ("ana", "bo")}
    erase(provider, "ana")
    erase(provider, "bo")
    for person in kept:
        with pytest.raises(UnknownAccount, match="erased"):
            provider.prove(person, "chat@1")
    assert provider.verdict(kept["ana"]).present
    assert not provider.verdict(kept["bo"]).present
    assert not provider.is_in("cy", "chat@1")


def test_tags_that_were_lost_or_damaged_are_made_again(provider: Provider) -> None:
    lose_tags(provider)
    assert provider.is_in("ana", "chat@1")
    (path,) = (provider.home / "tags").rglob("*.tags")
    path.write_bytes(path.read_bytes()[:-1])
    assert not provider.is_in("bo", "chat@1")


def test_tags_lost_after_an_erasure_prove_nothing(provider: Provider) -> None:
    erase(provider, "ana")
    lose_tags(provider)
    with pytest.raises(VerificationError, match="a key was erased"):
        provider.prove("bo", "chat@1")


def test_a_root_changed_behind_the_ledger_proves_nothing(provider: Provider) -> None:
    connection = apsw.Connection(str(provider.home / "control.db"))
    connection.execute("UPDATE taggings SET root = zeroblob(32)")  # of no tags: all are absent
    connection.close()
    assert provider.is_in("ana", "chat@1"), "the root is that of the entry"


def test_proofs_from_before_a_key_was_replaced_hold_with_the_old_key(provider: Provider) -> None:
    trust = Trust(provider.ports.log.origin, provider.ports.log.keys())
    before = provider.prove("ana", "chat@1")
    logs.replace_key(provider.ports)
    provider.sign_up("dee")
    after = provider.prove("ana", "chat@1")
    assert dataset_proofs.check(before, trust, verifies).present
    with pytest.raises(VerificationError):
        dataset_proofs.check(after, trust, verifies)
    assert provider.verdict(after).present


# --- S37: a ledger that was rewritten ---------------------------------------------------------------


def test_a_proof_is_checked_against_its_ledger_which_may_have_grown_since(
    provider: Provider,
) -> None:
    kept = [provider.prove(person, "chat@1") for person in ("ana", "bo")]
    provider.opt_out("ana")
    erasure.erase(provider.ports, AccountId("ana"))
    for document in kept:
        found = absence.verify_proof(provider.ports, document, verifies)
        assert replace(found, ledger=None) == provider.verdict(document)
        assert found.steps[-1].name == "ledger" and all(step.holds for step in found.steps)
    with pytest.raises(VerificationError):
        absence.verify_proof(provider.ports, {**kept[0], "present": False}, verifies)


def test_a_proof_fails_against_a_ledger_that_was_rewritten_and_signed_anew(
    provider: Provider, tmp_path: Path
) -> None:
    document = provider.prove("ana", "chat@1")
    for number, names in enumerate((("ana", "bo", "cy", *"defghijk"), ("ana",))):
        other = rewritten(tmp_path / f"other{number}", provider.home / "keys.db", *names)
        with open_embedded(other) as ports:
            # by its own bytes it holds: the key is the same; the ledger is not
            trust = Trust(ports.log.origin, ports.log.keys())
            assert dataset_proofs.check(document, trust, verifies).present
            with pytest.raises(
                VerificationError,
                match=r"dataset proof, step 8 \(ledger\): this ledger has another",
            ):
                absence.verify_proof(ports, document, verifies)


def test_a_ledger_that_lost_its_newest_entries_fails_a_proof_of_older_ones(
    provider: Provider,
) -> None:
    provider.sign_up("dee")
    document, size, folder = provider.prove("ana", "chat@1"), provider.head, provider.home
    provider.close()
    with apsw.Connection(str(folder / "control.db")) as connection:
        connection.execute("DELETE FROM entries WHERE position = ?", (size,))
    told = f"dataset proof, step 8 .*up to position {size} are not those"
    with open_embedded(folder) as ports, pytest.raises(VerificationError, match=told):
        absence.verify_proof(ports, document, verifies)
    provider.crash()


# --- false claims -------------------------------------------------------------------------------------


def refused(provider: Provider, document: Mapping[str, object]) -> None:
    with pytest.raises(VerificationError):
        provider.verdict(document)


def test_a_claim_that_is_not_what_the_tree_shows_is_refused(provider: Provider) -> None:
    present, absent = provider.prove("ana", "chat@1"), provider.prove("bo", "chat@1")
    for document in (present, absent):
        for change in (
            {"present": not document["present"]},
            {"account": "cy"},
            {"dataset": "chat@2"},
            {"tag_proof": (absent if document is present else present)["tag_proof"]},
        ):
            refused(provider, {**document, **change})


def test_another_secret_makes_nobody_absent(provider: Provider) -> None:
    """The secret was committed to when the account opened, so none can be made up for a proof."""
    present, absent = provider.prove("ana", "chat@1"), provider.prove("bo", "chat@1")
    taken = {name: absent[name] for name in ("secret", "tag_proof", "present")}
    refused(provider, {**present, **taken})
    refused(provider, {**present, **taken, "account": "bo"})
    theirs = {**present, **taken, "account_entry": absent["account_entry"]}
    refused(provider, theirs)  # still says ana
    assert provider.verdict({**theirs, "account": "bo"}).account == "bo"


def test_the_root_of_another_version_makes_nobody_absent(provider: Provider) -> None:
    provider.opt_out("ana")
    provider.build("chat")
    provider.tag()
    present, absent = provider.prove("ana", "chat@1"), provider.prove("ana", "chat@2")
    for taken in (("tagging",), ("tagging", "tag_proof"), ("tagging", "tag_proof", "present")):
        refused(provider, {**present, **{name: absent[name] for name in taken}})


def test_another_entry_is_neither_a_tagging_nor_an_opening(provider: Provider) -> None:
    document = provider.prove("ana", "chat@1")
    opened = document["account_entry"]
    assert isinstance(opened, dict)
    as_tagging = {name: opened[name] for name in ("event", "proof")}
    refused(provider, {**document, "tagging": as_tagging})
    tagging = document["tagging"]
    assert isinstance(tagging, dict)
    refused(provider, {**document, "account_entry": {**tagging, "opening": "00" * 32}})
    commit = provider.ports.ledger.record(provider.head - 1)  # type: ignore[arg-type]
    assert commit is not None
    (in_log,) = provider.ports.log.proofs((commit.position,))
    shown = {"event": commit.event.decode(), "proof": bytes(in_log).decode()}
    refused(provider, {**document, "tagging": shown})


def test_a_later_entry_of_the_account_is_not_its_opening(provider: Provider) -> None:
    document = provider.prove("bo", "chat@1")
    with provider.ports.ledger.directory() as directory:
        subject = directory.find(SubjectKind.ACCOUNT, "bo")
    assert subject is not None
    record = provider.ports.ledger.record(subject.last)
    assert record is not None and record.opening is not None
    (in_log,) = provider.ports.log.proofs((record.position,))
    later = {
        "event": record.event.decode(),
        "opening": record.opening.hex(),
        "proof": bytes(in_log).decode(),
    }
    refused(provider, {**document, "account_entry": later})


def test_two_trees_are_not_one(provider: Provider) -> None:
    """Each entry may be in a signed tree, and no tree hold both: then the log has split."""
    before = provider.prove("ana", "chat@1")
    provider.sign_up("dee")
    after = provider.prove("ana", "chat@1")
    refused(provider, {**before, "tagging": after["tagging"]})
    refused(provider, {**before, "account_entry": after["account_entry"]})


def test_a_key_of_somebody_else_vouches_for_nothing(provider: Provider) -> None:
    document = provider.prove("ana", "chat@1")
    origin = provider.ports.log.origin
    stranger = SeedSigner(origin, SignatureType.ED25519, bytes(32)).key
    for trust in (
        Trust(origin, (LogKey(stranger),)),
        Trust(origin, ()),
        Trust("elsewhere", provider.ports.log.keys()),
    ):
        with pytest.raises(VerificationError):
            dataset_proofs.check(document, trust, verifies)


# --- hostile files ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Document, Trust]]:
    made = Provider(tmp_path_factory.mktemp("shown"))
    for number in range(12):
        made.sign_up(f"p{number}")
        made.chat(f"p{number}", f"r{number}")
    made.opt_out("p3")
    made.build("chat")
    made.tag()
    document = absence.prove(made.ports, AccountId("p3"), parse_ref("chat@1"))
    yield dict(document), Trust(made.ports.log.origin, made.ports.log.keys())
    made.close()


def test_every_altered_character_is_found(shown: tuple[Document, Trust]) -> None:
    document, trust = shown
    text = json.dumps(document)
    found = dataset_proofs.check(json.loads(text), trust, verifies)
    assert not found.present
    for place in range(len(text)):
        for other in {"0", "a", "B", '"', "\\"} - {text[place]}:
            try:
                altered = json.loads(text[:place] + other + text[place + 1 :])
            except ValueError:
                continue
            if altered == document:  # another way to write the same characters
                continue
            with pytest.raises(VerificationError):
                dataset_proofs.check(altered, trust, verifies)


VALUES = json_values(st.none() | st.booleans() | st.integers() | st.text(max_size=70), st.text())


@given(st.data())
def test_whatever_stands_in_a_field_it_is_refused_and_never_an_accident(
    shown: tuple[Document, Trust], data: st.DataObject
) -> None:
    document, trust = json.loads(json.dumps(shown[0])), shown[1]
    parts = [document, document["tagging"], document["account_entry"]]
    part = data.draw(st.sampled_from(parts))
    name = data.draw(st.sampled_from([*part, "more"]))
    value = data.draw(VALUES)
    if part.get(name, ...) == value and type(part[name]) is type(value):
        return
    part[name] = value
    with pytest.raises(VerificationError):
        dataset_proofs.check(document, trust, verifies)


HOSTILE: list[Callable[[Document], object]] = [
    lambda d: d.clear(),
    lambda d: d.pop("secret"),
    lambda d: d.update(more=1),
    lambda d: d.update(present=0),
    lambda d: d.update(secret=d["secret"].upper()),
    lambda d: d.update(secret=d["secret"] + "\n"),
    lambda d: d.update(account="p3\ud800"),
    lambda d: d["tagging"].update(event="\ud800"),
    lambda d: d["tagging"].update(event="[" * 100_000),
    lambda d: d["tagging"].update(event="[]"),
    lambda d: d["tagging"].update(event=d["tagging"]["event"].replace(":", ": ", 1)),
    lambda d: d["tagging"].update(proof=""),
    lambda d: d["tagging"].update(proof=d["tagging"]["proof"].replace("index ", "index 9")),
    lambda d: d["account_entry"].pop("opening"),
    lambda d: d["account_entry"].update(opening="00" * 31),
    lambda d: d.update(tag_proof=encoded(bytes(3))),
    lambda d: d.update(tag_proof=encoded(decoded(d["tag_proof"]) + b"\0")),
    lambda d: d.update(format="withhold/dataset-proof/v2"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_document_is_refused(shown: tuple[Document, Trust], number: int) -> None:
    document = json.loads(json.dumps(shown[0]))
    HOSTILE[number](document)
    with pytest.raises(VerificationError):
        dataset_proofs.check(document, shown[1], verifies)


def test_the_tag_is_the_one_that_a_second_implementation_would_make(
    shown: tuple[Document, Trust],
) -> None:
    document, _ = shown
    event = json.loads(document["tagging"]["event"])
    tag = tag_of(bytes.fromhex(document["secret"]), f"chat@1:{event['manifest']}")
    assert len(tag) == 32
    assert tag.hex() not in json.dumps(document), "a proof of absence holds no tag of its person"

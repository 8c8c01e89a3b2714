"""The auditor's command finds each kind of tampering, and names the first position that does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from tests.simulator import VIBE, Provider
from withhold.adapters.exports import export_to
from withhold.domain.admission import Reason
from withhold.domain.datasets import Dataset, parse_ref, tagged_body
from withhold.domain.exports import Contents, exported_body
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import Position
from withhold.domain.prefix_tree import crown_of
from withhold.services import audit
from withhold.services.audit import AuditReport
from withhold.services.exports import export

COMMIT, TAGGING, SECOND_COMMIT, EXPORT = 6, 7, 9, 10
"""Positions of `provider`: policy, three openings, an off, then chat@1 and its tagging, an off, chat@2 and
a copy of it."""


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path / "home")
    for person in ("ana", "bo", "cy"):
        made.sign_up(person)
        made.chat(person, f"{person}-1")
    made.opt_out("bo")
    assert made.build("chat").position == COMMIT
    made.tag()
    assert made.head == TAGGING
    made.opt_out("cy")
    assert made.build("chat").position == SECOND_COMMIT
    export(made.ports, parse_ref("chat@2"), export_to(tmp_path / "copy", "jsonl"))
    assert made.head == EXPORT
    yield made
    made.close()


def tamper(provider: Provider, statement: str) -> None:
    connection = apsw.Connection(str(provider.home / "control.db"))
    connection.execute(statement)
    connection.close()


def audited(provider: Provider) -> AuditReport:
    provider.crash()
    return audit.audit(provider.ports)


def test_a_sound_home_holds_and_versions_without_tags_are_listed(provider: Provider) -> None:
    report = audited(provider)
    assert report.holds and report.first is None
    assert report.untagged == ("chat@2",)
    provider.tag()
    assert audited(provider) == replace(report, untagged=(), position=Position(report.position + 1))


LEDGER = {
    "an entry is gone": ("DELETE FROM entries WHERE position = 3", 3),
    "an entry is another": ("UPDATE entries SET entry = zeroblob(59) WHERE position = 4", 4),
    "an entry moved": (
        """UPDATE entries SET entry = (SELECT e.entry FROM entries e WHERE e.position = 3)
        WHERE position = 4""",
        4,
    ),
    "a chain value": ("UPDATE entries SET chain = zeroblob(32) WHERE position = 5", 5),
    "a sealed body": ("UPDATE entries SET body = zeroblob(80) WHERE position = 2", 2),
    "a public body": (
        f"UPDATE entries SET body = CAST(body || ' ' AS BLOB) WHERE position = {COMMIT}",
        COMMIT,
    ),
    "a kind": ("UPDATE entries SET kind = 7 WHERE position = 5", 5),
    "a kind that is none": ("UPDATE entries SET kind = 99 WHERE position = 5", 5),
    "an off made an on": ("UPDATE entries SET effects = NULL WHERE position = 5", 5),
    "effects of no form": ("UPDATE entries SET effects = x'0102' WHERE position = 5", 5),
    "an order of a subject": ("UPDATE entries SET previous = 0 WHERE position = 5", 5),
    "a row made deleted": ("INSERT INTO deleted_rows VALUES (5, 'vibe', 0)", 5),
}


@pytest.mark.parametrize("what", LEDGER)
def test_an_altered_entry_is_named(provider: Provider, what: str) -> None:
    statement, position = LEDGER[what]
    tamper(provider, statement)
    report = audited(provider)
    assert not report.holds
    assert report.first == position
    assert f"entry {position}" in report.faults[0].sentence


RECORDS = {
    "a standing": "UPDATE plan_parties SET lock_on_since = 1",
    "a record": "UPDATE subjects SET record = x'00' WHERE no = 2",
    "a record of somebody else": """UPDATE subjects
        SET record = (SELECT s.record FROM subjects s WHERE s.no = 1) WHERE no = 2""",
    "a person": "DELETE FROM subjects WHERE no = 3",
}


@pytest.mark.parametrize("what", RECORDS)
def test_what_does_not_follow_from_the_entries_is_found(provider: Provider, what: str) -> None:
    tamper(provider, RECORDS[what])
    assert not audited(provider).holds


DATASETS = {
    "a manifest's counts": (
        """UPDATE datasets SET manifest = replace(manifest, '"admitted":2', '"admitted":3')""",
        COMMIT,
        "manifest",
    ),
    "a manifest that is none": ("UPDATE datasets SET manifest = '{'", COMMIT, "manifest"),
    "a hidden version": (f"DELETE FROM datasets WHERE position = {COMMIT}", COMMIT, "not among"),
    "a version that no entry commits": (
        """INSERT INTO datasets
        SELECT 5, 'made-up', 1, replace(manifest, '"chat"', '"made-up"'), 0 FROM datasets LIMIT 1""",
        5,
        "manifest",
    ),
    "a hidden tagging": ("DELETE FROM taggings", TAGGING, "has another tagging"),
    "another root": ("UPDATE taggings SET root = zeroblob(32)", TAGGING, "tagging"),
    "a tagging that is no entry": (
        f"INSERT INTO taggings VALUES ({SECOND_COMMIT}, 8, zeroblob(32))",
        8,
        "tagging",
    ),
    "a hidden export": ("DELETE FROM exports", EXPORT, "not among the exports"),
    "an export of another moment": ("UPDATE exports SET cutoff = 9999", EXPORT, "an export of it"),
    "an export of other rows": ("UPDATE exports SET rows = 0", EXPORT, "an export of it"),
    "an export of other shards": ("UPDATE exports SET shards = ''", EXPORT, "an export of it"),
    "an export of another version": (
        "UPDATE exports SET dataset = 'chat@1'",
        EXPORT,
        "an export of it",
    ),
    "an export of no version": ("UPDATE exports SET dataset = 'ghost@1'", EXPORT, "ghost@1"),
    "an export that is no entry": (
        "INSERT INTO exports SELECT 8, dataset, cutoff, rows, shards, recorded_at FROM exports",
        8,
        "an export of it",
    ),
    "a file of another length": ("UPDATE files SET size_bytes = 1", COMMIT, "another one"),
}


@pytest.mark.parametrize("what", DATASETS)
def test_an_altered_dataset_is_named(provider: Provider, what: str) -> None:
    statement, position, said = DATASETS[what]
    tamper(provider, statement)
    report = audited(provider)
    assert report.first == position
    assert any(said in fault.sentence for fault in report.faults if fault.position == position)


def first_version(provider: Provider) -> Dataset:
    dataset = provider.ports.datasets.get(parse_ref("chat@1"))
    assert dataset is not None
    return dataset


def _leave_out(provider: Provider) -> None:
    """Tag a version as if nobody were in it."""
    dataset = provider.ports.datasets.untagged()[0]
    provider.ports.datasets.tag(dataset, crown_of(b"").root, 0)


def _tag_again(provider: Provider) -> None:
    """Append a second root for a version, to be shown to some."""
    body = tagged_body(first_version(provider), bytes(32))
    event = Event(EventKind.DATASET_TAGGED, None, body, 0)
    provider.ports.ledger.append(lambda transaction: transaction.add(event))


def _commit_falsely(provider: Provider) -> None:
    """Commit a version that says fewer rows than it yields."""
    manifest = provider.ports.datasets.untagged()[0].manifest
    false = replace(manifest, name="false", admitted=0, cutoff=provider.head)
    provider.ports.datasets.commit(false, lambda _: False, 0)


def _commit_another_reason(provider: Provider) -> None:
    """Commit a version that says rows were withheld for another reason than they are."""
    manifest = provider.ports.datasets.untagged()[0].manifest
    withheld = {Reason.DELETED: sum(manifest.withheld.values())}
    false = replace(manifest, name="false", withheld=withheld, cutoff=provider.head)
    provider.ports.datasets.commit(false, lambda _: False, 0)


def _commit_nothing(provider: Provider) -> None:
    """Append the entry of a version that is not there."""
    body = {"name": "ghost", "version": 1, "product": VIBE, "manifest": "00" * 32}
    event = Event(EventKind.DATASET_COMMITTED, None, body, 0)
    provider.ports.ledger.append(lambda transaction: transaction.add(event))


def _commit_past_the_fence(provider: Provider) -> None:
    """Commit a version that was decided before an opt-out, as if nothing had been withdrawn."""
    manifest = replace(first_version(provider).manifest, name="late")
    provider.ports.datasets.commit(manifest, lambda _: False, 0)


def _export_nothing(provider: Provider) -> None:
    """Append the entry of a copy that is not listed."""
    contents = Contents(provider.head, 1, "00" * 32)
    body = exported_body(first_version(provider), contents)
    event = Event(EventKind.DATASET_EXPORTED, None, body, 0)
    provider.ports.ledger.append(lambda transaction: transaction.add(event))


INSIDERS: tuple[Callable[[Provider], None], ...] = (
    _leave_out,
    _tag_again,
    _commit_falsely,
    _commit_another_reason,
    _commit_nothing,
    _commit_past_the_fence,
    _export_nothing,
)


@pytest.mark.parametrize("act", INSIDERS, ids=lambda act: act.__name__.strip("_"))
def test_entries_that_say_what_is_not_so_are_named(
    provider: Provider, act: Callable[[Provider], None]
) -> None:
    act(provider)
    position = provider.head
    report = audited(provider)
    assert [fault.position for fault in report.faults] == [position]


def test_an_altered_tile_of_the_tree_is_named(provider: Provider) -> None:
    for number in range(260):
        provider.sign_up(f"p{number}")
    provider.crash()
    tamper(provider, "UPDATE tiles SET hashes = zeroblob(8192)")
    report = audit.audit(provider.ports)
    assert any("tile 0/0" in fault.sentence for fault in report.faults)


@pytest.mark.parametrize("place", [0, 40, -60, -1])
def test_altered_tags_are_named(provider: Provider, place: int) -> None:
    (path,) = (provider.home / "tags").rglob("*.tags")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    report = audited(provider)
    assert [fault.position for fault in report.faults] == [TAGGING]
    path.unlink()
    assert audited(provider).holds, "they can be made again"


def test_a_lost_file_is_named_and_the_others_are_still_checked(provider: Provider) -> None:
    (file,) = provider.ports.files.files()
    provider.ports.lake.path(file).unlink()  # type: ignore[attr-defined]
    report = audited(provider)
    assert file.sha256 in report.faults[0].sentence
    assert {fault.position for fault in report.faults} == {None, COMMIT, SECOND_COMMIT}


def test_the_audit_tells_how_far_it_is(provider: Provider) -> None:
    told: list[tuple[str, int, int]] = []
    audit.audit(provider.ports, lambda *step: told.append(step))
    assert {step for step, _, _ in told} == {
        "tree",
        "files",
        "datasets",
    }  # a short ledger is silent
    assert all(0 <= done <= total for _, done, total in told)


def test_an_audit_that_is_interrupted_leaves_everything_as_it_was(provider: Provider) -> None:
    def interrupt(step: str, _done: int, _total: int) -> None:
        if step == "datasets":
            raise KeyboardInterrupt

    head = provider.head
    with pytest.raises(KeyboardInterrupt):
        audit.audit(provider.ports, interrupt)
    assert provider.head == head
    assert audit.audit(provider.ports).holds

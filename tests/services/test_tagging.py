"""Every version is tagged once, after its commit, whatever happens in between; by whose rows it yielded."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.datasets import MemoryDatasets
from tests.fakes.faults import FailOnce
from tests.fakes.intake import Fault
from tests.simulator import STUDIO, Provider
from withhold.domain.datasets import Dataset, Tagging
from withhold.domain.ledger import EventKind
from withhold.errors import StateUnknown, StorageError, VerificationError
from withhold.ports import Ports
from withhold.services import audit, builds, tagging

PEOPLE = ("ana", "bo", "cy", "dee")
DOCUMENT = "d" * 64


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path / "home")
    made.found("acme", vibe="free")
    for person in PEOPLE:
        made.sign_up(person)
    yield made
    made.close()


def entries_of(ports: Ports, kind: EventKind) -> list[dict[str, object]]:
    return [json.loads(record.event) for record in ports.ledger.public_records([kind])]


def in_it(provider: Provider, reference: str) -> list[str]:
    return [person for person in PEOPLE if provider.is_in(person, reference)]


def test_the_tagging_is_an_entry_after_the_commit_that_names_its_version_and_no_counts(
    provider: Provider,
) -> None:
    provider.chat("ana", "a1")
    dataset = provider.build("chat")
    assert list(provider.ports.datasets.untagged()) == [dataset]
    assert provider.ports.datasets.tagging(dataset) is None
    found = tagging.tag(provider.ports, dataset)
    assert found.position == provider.head == dataset.position + 1
    assert provider.ports.datasets.tagging(dataset) == found
    (event,) = entries_of(provider.ports, EventKind.DATASET_TAGGED)
    assert event.keys() - {"recorded_at"} == {
        *("kind", "v", "effects"),
        *("dataset", "manifest", "commit", "root"),
    }
    assert (event["dataset"], event["commit"]) == ("chat@1", dataset.position)
    assert event["root"] == found.root.hex()


def test_the_commit_says_what_it_was_decided_by(provider: Provider) -> None:
    provider.chat("ana", "a1")
    provider.chat("bo", "b1")
    provider.opt_out("bo")
    provider.build("chat")
    root = provider.ports.log.root(provider.head)
    provider.build("chat")
    _, event = entries_of(provider.ports, EventKind.DATASET_COMMITTED)
    assert event["cutoff"] == provider.head - 1
    assert event["log_root"] == root.hex()
    assert event["parents"] == ["chat@1"]
    assert (event["admitted"], event["withheld"]) == (1, {"account_off": 1})


def test_a_version_is_tagged_once_however_often_it_is_asked_for(provider: Provider) -> None:
    provider.chat("ana", "a1")
    dataset = provider.build("chat")
    first = tagging.tag(provider.ports, dataset)
    assert tagging.tag(provider.ports, dataset) == first
    assert provider.ports.datasets.tag(dataset, bytes(32), 0) == first
    assert tagging.tag_all(provider.ports) == 0
    assert provider.head == first.position


def test_the_same_lake_built_twice_gives_other_tags(provider: Provider) -> None:
    """Nobody can follow a person from one version to the next."""
    provider.chat("ana", "a1")
    roots = {tagging.tag(provider.ports, provider.build("chat")).root for _ in range(3)}
    assert len(roots) == 3


def test_participants_and_owners_of_documents_are_in_it_and_their_organizations_are_not(
    provider: Provider,
) -> None:
    provider.move("dee", "acme")
    provider.upload("cy", "c1", DOCUMENT)
    provider.chat("ana", "a1", participants=("bo",), attachments=(DOCUMENT,))
    provider.chat("dee", "d1")
    provider.opt_out("acme", organization=True)
    provider.build("chat")
    provider.tag()
    assert in_it(provider, "chat@1") == ["ana", "bo", "cy"]


def test_whoever_has_only_withheld_rows_is_absent(provider: Provider) -> None:
    for person in PEOPLE:
        provider.chat(person, f"{person}-1")
    provider.chat("ana", "shared", participants=("bo",))
    provider.opt_out("bo")
    provider.delete("cy-1")
    provider.build("chat")
    provider.tag()
    assert in_it(provider, "chat@1") == ["ana", "dee"]


def test_merged_accounts_have_a_tag_each_for_their_own_rows(provider: Provider) -> None:
    provider.chat("ana", "a1")
    provider.merge("ana", "bo")
    provider.build("chat")
    provider.tag()
    assert in_it(provider, "chat@1") == ["ana"]


def test_what_happens_after_the_commit_changes_no_tag_of_it(provider: Provider) -> None:
    """An opt-out between commit and tagging: the version did yield the rows until then."""
    provider.chat("ana", "a1")
    provider.chat("bo", "b1")
    provider.build("chat")
    provider.opt_out("ana")
    provider.delete("b1")
    provider.chat("cy", "c1")
    provider.build("chat")
    provider.tag()
    assert in_it(provider, "chat@1") == ["ana", "bo"]
    assert in_it(provider, "chat@2") == ["cy"]
    assert audit.audit(provider.ports).holds


def test_a_version_without_rows_proves_everybody_absent(provider: Provider) -> None:
    provider.build("chat")
    provider.tag()
    assert in_it(provider, "chat@1") == []


def test_a_crash_between_commit_and_tagging_leaves_a_version_that_is_tagged_later_once(
    provider: Provider,
) -> None:
    provider.chat("ana", "a1")
    provider.build("chat")
    dataset = provider.build("chat")
    tagging.keep(provider.ports, dataset)  # the tags are there, the entry is not
    provider.crash()
    assert len(provider.ports.datasets.untagged()) == 2
    assert provider.tag() == ["chat@1", "chat@2"]
    assert len(entries_of(provider.ports, EventKind.DATASET_TAGGED)) == 2
    provider.crash()
    assert tagging.tag_all(provider.ports) == 0
    assert provider.is_in("ana", "chat@1")


@pytest.mark.parametrize("how", list(Fault))
def test_a_tagging_that_failed_is_asked_for_again_and_stands_once(
    provider: Provider, how: Fault
) -> None:
    provider.chat("ana", "a1")
    faults = FailOnce(2, how)
    ports = replace(provider.ports, datasets=MemoryDatasets(provider.ports.ledger, faults))
    dataset = builds.build(ports, "chat", dataset_product(provider))
    assert isinstance(dataset, Dataset)
    if how is Fault.FAIL_NOT_PERSISTED:
        with pytest.raises(StorageError):
            tagging.tag(ports, dataset)
    found = tagging.tag(ports, dataset)
    assert ports.datasets.tagging(dataset) == found
    assert len(entries_of(ports, EventKind.DATASET_TAGGED)) == 1


def dataset_product(provider: Provider) -> str:
    with provider.ports.ledger.directory() as directory:
        return directory.policy.products[0].id


def test_an_unknown_outcome_that_was_no_commit_is_told(provider: Provider) -> None:
    provider.chat("ana", "a1")
    dataset = provider.build("chat")
    real = provider.ports.datasets

    class Dropped:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def tag(self, *_: object) -> Tagging:
            raise StateUnknown("the connection dropped")

    with pytest.raises(StateUnknown):
        tagging.tag(replace(provider.ports, datasets=Dropped()), dataset)  # type: ignore[arg-type]
    assert tagging.tag(provider.ports, dataset).position == provider.head


def test_threads_that_tag_at_once_leave_one_tagging(provider: Provider) -> None:
    provider.chat("ana", "a1")
    datasets = [provider.build("chat") for _ in range(3)]
    found: list[Tagging] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(tagging.tag(provider.ports, d) for d in datasets)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    assert len(set(found)) == 3 == len(entries_of(provider.ports, EventKind.DATASET_TAGGED))


def test_processes_that_tag_at_once_leave_one_tagging(provider: Provider) -> None:
    for person in PEOPLE:
        provider.chat(person, f"{person}-1")
    for _ in range(4):
        provider.build("chat")
    words = [sys.executable, "-m", "withhold", "tag", "--json", "--home", str(provider.home)]
    children = [subprocess.Popen(words, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert len(entries_of(provider.ports, EventKind.DATASET_TAGGED)) == 4
    assert list(provider.ports.datasets.untagged()) == []
    assert audit.audit(provider.ports).holds


def test_a_version_that_is_not_what_the_ledger_says_is_not_tagged(
    provider: Provider, tmp_path: Path
) -> None:
    provider.chat("ana", "a1")
    provider.build("chat")
    connection = apsw.Connection(str(provider.home / "control.db"))
    connection.execute(
        """UPDATE datasets SET manifest = replace(manifest, '"admitted":1', '"admitted":2')"""
    )
    connection.close()
    (dataset,) = provider.ports.datasets.untagged()
    with pytest.raises(VerificationError, match="2 rows admitted, but 1"):
        tagging.tag(provider.ports, dataset)


def test_a_version_whose_file_is_lost_is_not_tagged(provider: Provider) -> None:
    provider.chat("ana", "a1")
    dataset = provider.build("chat")
    (file,) = provider.ports.files.files()
    provider.ports.lake.path(file).unlink()  # type: ignore[attr-defined]
    with pytest.raises(VerificationError, match="missing"):
        tagging.tag(provider.ports, dataset)
    assert provider.head == dataset.position


def test_a_version_that_cannot_be_tagged_keeps_no_later_one_from_it(provider: Provider) -> None:
    provider.chat("ana", "a1")
    provider.build("chat")
    (file,) = provider.ports.files.files()
    provider.ports.lake.path(file).unlink()  # type: ignore[attr-defined]
    provider.call_api("bo", "b1")
    provider.build("calls", STUDIO)
    with pytest.raises(VerificationError, match=file.sha256):
        provider.tag()
    assert [str(d.ref) for d in provider.ports.datasets.untagged()] == ["chat@1"]
    assert in_it(provider, "calls@1") == ["bo"]


# --- any history --------------------------------------------------------------------------------------

PERSON = st.sampled_from(PEOPLE)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("chat"), PERSON, st.sets(PERSON, max_size=2), st.booleans()),
        st.tuples(st.just("upload"), PERSON),
        st.tuples(st.just("out"), PERSON),
        st.tuples(st.just("in"), PERSON),
        st.tuples(st.just("organization"), st.booleans()),
        st.tuples(st.just("merge"), PERSON, PERSON),
        st.tuples(st.just("delete"), st.integers(0, 20)),
        st.tuples(st.just("build")),
        st.tuples(st.just("tag")),
    ),
    min_size=4,
    max_size=16,
)


class History:
    """Plays acts, and notes by itself whose content is in which row, and what each version yielded."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.authors: dict[str, set[str]] = {}
        self.owners: set[str] = set()
        self.yielded: dict[str, set[str]] = {}

    def play(self, act: tuple[object, ...]) -> None:
        verb, *words = act
        getattr(self, f"_{verb}")(*words)

    def _chat(self, person: str, guests: set[str], attaches: bool) -> None:
        row = f"r{len(self.authors)}"
        with_document = {"attachments": (DOCUMENT,)} if attaches and self.owners else {}
        self.provider.chat(person, row, participants=tuple(sorted(guests)), **with_document)
        self.authors[row] = {person, *guests, *(self.owners if with_document else ())}

    def _upload(self, person: str) -> None:
        row = f"r{len(self.authors)}"
        answer = self.provider.upload(person, row, DOCUMENT)
        self.owners.add(person)
        self.authors[row] = set(self.owners) if answer.accepted else {person}

    def _out(self, person: str) -> None:
        self.provider.opt_out(person)

    def _in(self, person: str) -> None:
        self.provider.opt_in(person)

    def _organization(self, allowed: bool) -> None:
        say = self.provider.opt_in if allowed else self.provider.opt_out
        say("acme", organization=True)

    def _merge(self, one: str, other: str) -> None:
        if one != other:
            self.provider.merge(one, other)

    def _delete(self, number: int) -> None:
        if f"r{number}" in self.authors:
            self.provider.delete(f"r{number}")

    def _build(self) -> None:
        reference = str(self.provider.build("chat").ref)
        self.yielded[reference] = set(self.provider.load(reference))

    def _tag(self) -> None:
        self.provider.tag()


@given(acts=ACTS)
def test_in_any_history_the_tagged_are_those_whose_rows_the_version_yielded(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[object, ...]]
) -> None:
    """Checked by what a reader got right after the commit, and by what the test knows of each row."""
    provider = Provider(tmp_path_factory.mktemp("history"))
    provider.found("acme", vibe="free")
    for person in PEOPLE:
        provider.sign_up(person, *(["acme"] if person == "dee" else []))
    history = History(provider)
    for act in [*acts, ("build",)]:
        history.play(act)
    provider.tag()
    for reference, rows in history.yielded.items():
        expected = set().union(*(history.authors[row] for row in rows))
        assert set(in_it(provider, reference)) == expected, reference
    report = audit.audit(provider.ports)
    assert report.holds, report
    provider.close()

"""The promise as a state machine: any interleaving of what people and jobs do keeps I1 and I2.

The machine keeps its own, deliberately naive notes: at which head content was made, and at which
positions each holder said out. From these notes alone it knows rows that may never be yielded, and rows
that nothing ever spoke against, which must be. It never asks the product what it thinks.

After every step: incremental state equals the full decision of every row, withheld rows only grow, and
no version yields a row that the notes forbid.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.simulator import VIBE, Provider, interaction, turns
from withhold.domain.interactions import InteractionKind
from withhold.domain.vectors import withheld

PEOPLE = ("ana", "bo", "cy")
ORGANIZATIONS = ("acme", "globex")
PLANS = ("free", "pro", "teams")
SHARED_MEMORY = Path("/dev/shm")  # durability is the subject of tests/faults, not of this search


@dataclass
class Notes:
    """What the test itself saw happen."""

    outs: dict[str, list[int]] = field(default_factory=dict)  # holder -> positions of its opt-outs
    is_out: set[str] = field(default_factory=set)  # holders that said out and not yet in
    touched: set[str] = field(
        default_factory=set
    )  # people whose plans, organisations or switch changed
    made: dict[str, tuple[int, frozenset[str]]] = field(
        default_factory=dict
    )  # row -> (head, holders)
    forbidden: set[str] = field(
        default_factory=set
    )  # rows made while out, deleted, or of unknown source

    def must_not_appear(self) -> set[str]:
        """Rows whose holders were out when they were made, or said out after."""
        later = {
            row
            for row, (head, holders) in self.made.items()
            if any(position > head for h in holders for position in self.outs.get(h, ()))
        }
        return later | self.forbidden

    def must_appear(self, stored: set[str]) -> set[str]:
        """Stored rows of people about whom nothing ever changed."""
        return {row for row in stored - self.forbidden if not self.made[row][1] & self.touched}


class Promise(RuleBasedStateMachine):
    """Everything that may happen, in any order."""

    rows = Bundle("rows")
    held_back = Bundle("held_back")

    def __init__(self) -> None:
        super().__init__()
        folder = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
        self.home = Path(tempfile.mkdtemp(prefix="withhold-", dir=folder))
        self.provider = Provider(self.home)
        self.notes = Notes()
        self.stored: set[str] = set()
        self.versions: list[str] = []
        self.withheld_before: dict[int, set[int]] = {}
        self.member_of: dict[str, set[str]] = {p: set() for p in PEOPLE}
        self.merged: dict[str, set[str]] = {p: {p} for p in PEOPLE}
        self.count = 0

    def teardown(self) -> None:
        self.provider.close()
        shutil.rmtree(self.home)

    @initialize()
    def people(self) -> None:
        for organization in ORGANIZATIONS:
            self.provider.found(organization, vibe="free")
        for person in PEOPLE:
            self.provider.sign_up(person)

    # --- capture ----------------------------------------------------------------------------------

    def _name(self) -> str:
        self.count += 1
        return f"r{self.count}"

    def _holders(self, person: str) -> frozenset[str]:
        return frozenset({person, *self.member_of[person]})

    def _send(
        self, person: str, row: str, head: int, holders: frozenset[str], **more: object
    ) -> str:
        """Capture a row whose content was made at ``head``."""
        was_out = bool(holders & self.notes.is_out) and "token" not in more
        answer = self.provider.send(interaction(person, row, **more))
        assert not answer.rejected
        self.notes.made[row] = (head, holders | self._holders(person))
        if answer.accepted:
            self.stored.add(row)
        if was_out:
            self.notes.forbidden.add(row)
            assert not answer.accepted, "a row of a party that is out was stored"
        return row

    @rule(target=rows, person=st.sampled_from(PEOPLE))
    def chat(self, person: str) -> str:
        return self._send(person, self._name(), self.provider.head, self._holders(person))

    @rule(target=rows, person=st.sampled_from(PEOPLE), other=st.sampled_from(PEOPLE))
    def shared_chat(self, person: str, other: str) -> str:
        holders = self._holders(person) | self._holders(other)
        row = self._name()
        return self._send(person, row, self.provider.head, holders, participants=(other,))

    @rule(target=held_back, person=st.sampled_from(PEOPLE))
    def accept_with_a_token(self, person: str) -> tuple[str, str, str, int, frozenset[str], bool]:
        """Content is made now and arrives later."""
        holders = self._holders(person)
        out = bool(holders & self.notes.is_out)
        return (person, self._name(), self.provider.token(), self.provider.head, holders, out)

    @rule(target=rows, late=consumes(held_back))
    def arrive_late(self, late: tuple[str, str, str, int, frozenset[str], bool]) -> str:
        person, row, token, head, holders, was_out = late
        if was_out:
            self.notes.forbidden.add(row)
        return self._send(person, row, head, holders, token=token)

    @rule(person=st.sampled_from(PEOPLE), row=rows)
    def send_again(self, person: str, row: str) -> None:
        """A retry: same id, no token. Nothing new may come of it; from somebody else it is theirs, too."""
        answer = self.provider.send(interaction(person, row))
        assert not answer.accepted
        assert not answer.rejected
        head, holders = self.notes.made[row]
        if person not in holders:
            self.notes.made[row] = (head, holders | self._holders(person))
            self.stored.clear()  # what repeats the row goes with it, and so does what was built

    @rule(target=rows, person=st.sampled_from(PEOPLE), about=rows)
    def rate(self, person: str, about: str) -> str:
        return self._repeat(person, about, kind=InteractionKind.FEEDBACK, about=about)

    @rule(target=rows, person=st.sampled_from(PEOPLE), source=rows)
    def summarise(self, person: str, source: str) -> str:
        return self._repeat(person, source, derived_from=(source,))

    def _repeat(self, person: str, source: str, **more: object) -> str:
        """A row that repeats another is as old as it and has its holders too."""
        head, holders = self.notes.made[source]
        row = self._name()
        if source in self.notes.must_not_appear():
            self.notes.forbidden.add(row)
        return self._send(person, row, min(head, self.provider.head), holders, **more)

    @rule(
        target=rows, owner=st.sampled_from(PEOPLE), user=st.sampled_from(PEOPLE), late=st.booleans()
    )
    def attach(self, owner: str, user: str, late: bool) -> str:
        """Upload a document, then use it in a chat, perhaps after the owner went out and in again."""
        document, row = self._name(), self._name()
        sha256 = f"{self.count:064x}"
        head, holders = self.provider.head, self._holders(owner)
        self._send(owner, document, head, holders, kind=InteractionKind.DOCUMENT, sha256=sha256)
        if late:
            self._out(owner)
            self.opt_in(owner)
        if document in self.notes.must_not_appear():
            self.notes.forbidden.add(row)
        return self._send(user, row, head, holders | self._holders(user), attachments=(sha256,))

    @rule(target=rows, person=st.sampled_from(PEOPLE), toggled=st.booleans())
    def resume_a_conversation(self, person: str, toggled: bool) -> str:
        """Every turn sends the history again."""
        first, second = self._name(), self._name()
        head, holders = self.provider.head, self._holders(person)
        self._send(person, first, head, holders, conversation=first, messages=turns("a"))
        if toggled:
            self._out(person)
            self.opt_in(person)
        if first in self.notes.must_not_appear():
            self.notes.forbidden.add(second)
        return self._send(
            person, second, head, holders, conversation=first, messages=turns("a", "b")
        )

    @rule(person=st.sampled_from(PEOPLE))
    def attach_something_unknown(self, person: str) -> None:
        row = self._name()
        self._send(
            person,
            row,
            self.provider.head,
            self._holders(person),
            attachments=(f"{self.count:064x}",),
        )
        self.notes.forbidden.add(row)
        assert row not in self.stored

    @rule(row=rows)
    def delete(self, row: str) -> None:
        if row in self.stored:
            self.provider.delete(row)
            self.notes.forbidden.add(row)

    # --- the switch -------------------------------------------------------------------------------

    def _out(self, holder: str, *, organization: bool = False) -> None:
        answer = self.provider.opt_out(holder, organization=organization)
        assert not answer.allowed
        self._note_out(self.merged.get(holder, {holder}), answer.position)

    def _note_out(self, holders: set[str], position: int) -> None:
        self.notes.is_out |= holders
        self.notes.touched |= holders
        for holder in holders:
            self.notes.outs.setdefault(holder, []).append(position)

    @rule(person=st.sampled_from(PEOPLE))
    def opt_out(self, person: str) -> None:
        self._out(person)

    @rule(person=st.sampled_from(PEOPLE))
    def opt_in(self, person: str) -> None:
        if not self.provider.status(person).locked:
            self.provider.opt_in(person)
            self.notes.is_out.discard(person)
        self.notes.touched.add(person)

    @rule(organization=st.sampled_from(ORGANIZATIONS))
    def opt_out_everybody(self, organization: str) -> None:
        self._out(organization, organization=True)

    @rule(organization=st.sampled_from(ORGANIZATIONS))
    def opt_everybody_in(self, organization: str) -> None:
        self.provider.opt_in(organization, organization=True)
        self.notes.is_out.discard(organization)

    @rule(person=st.sampled_from(PEOPLE), organizations=st.sets(st.sampled_from(ORGANIZATIONS)))
    def join(self, person: str, organizations: set[str]) -> None:
        self.provider.move(person, *sorted(organizations))
        self.member_of[person] = set(organizations)
        self.notes.touched.add(person)

    @rule(person=st.sampled_from(PEOPLE), plan=st.sampled_from(PLANS))
    def change_plan(self, person: str, plan: str) -> None:
        self.provider.move(person, *sorted(self.member_of[person]), vibe=plan)
        self.notes.touched.add(person)

    @rule(on=st.booleans())
    def flip_the_default(self, on: bool) -> None:
        self.provider.adopt(VIBE, "free", default_on=on)
        self.notes.touched |= set(PEOPLE)

    @rule(pair=st.permutations(PEOPLE))
    def merge(self, pair: list[str]) -> None:
        """Merged accounts stay one group: off wins now, and each later off is everybody's."""
        group = self.merged[pair[0]] | self.merged[pair[1]]
        self.provider.merge(*pair[:2])
        self.notes.touched |= group
        for person in group:
            self.merged[person] = group
        if group & self.notes.is_out:
            self._note_out(group - self.notes.is_out, self.provider.head)

    # --- jobs -------------------------------------------------------------------------------------

    @rule()
    def seal(self) -> None:
        self.provider.seal()

    @rule()
    def apply(self) -> None:
        assert self.provider.apply() == self.provider.head

    @rule()
    def build(self) -> None:
        dataset = self.provider.build("chat")
        assert dataset.position == self.provider.head
        self.versions.append(str(dataset.ref))

    @rule()
    def crash(self) -> None:
        self.provider.crash()

    # --- what must hold after every step ----------------------------------------------------------

    @precondition(lambda self: self.versions)
    @invariant()
    def no_version_yields_what_the_notes_forbid(self) -> None:
        forbidden = self.notes.must_not_appear()
        for version in {self.versions[0], self.versions[-1]}:
            yielded = self.provider.load(version)
            assert len(yielded) == len(set(yielded))
            assert not forbidden & set(yielded)
            assert yielded == self.provider.decided(version)
        built = set(self.provider.load(self.versions[-1]))
        must = self.notes.must_appear(self.stored)
        assert {r for r in must if r in built} == {r for r in must if r in self._sealed_at_last()}

    def _sealed_at_last(self) -> set[str]:
        dataset = self.provider.ports.datasets.all()[-1]
        numbers = {f.no for f in dataset.manifest.files}
        return {
            row
            for f in self.provider.ports.files.files()
            if f.no in numbers
            for b in self.provider.ports.lake.batches(f, ["id"], 1024)
            for row in b.column("id").to_pylist()
        }

    @invariant()
    def withheld_only_grows_and_incremental_equals_full(self) -> None:
        self.provider.apply()
        files = self.provider.ports.files.files()
        vectors = self.provider.ports.files.vectors([f.no for f in files])
        for file in files:
            vector = vectors[file.no]
            assert vector is not None
            now = set(withheld(vector.bits) or ())
            assert now >= self.withheld_before.get(file.no, set())
            assert now == set(withheld(self.provider.full_decision(file.no)) or ())
            self.withheld_before[file.no] = now


TestPromise = Promise.TestCase


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestPromiseAtLength(Promise.TestCase):
    """The same machine, many more and longer histories."""

    settings = settings(
        max_examples=200,
        stateful_step_count=70,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )

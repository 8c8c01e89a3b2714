"""What every `Ledger` promises, held against the fake and the real store alike."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.fakes.intake import Fault
from tests.fakes.ledger import POLICY, MemoryLedger
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.accounts import Opening, Opens, opened
from withhold.domain.canonical_json import Json
from withhold.domain.changes import At, Change
from withhold.domain.directory import PlanParties, Subject, SubjectKind
from withhold.domain.ledger import (
    DeletedRow,
    Event,
    EventKind,
    check_entry,
    commitment_in,
    sealed_commitment,
)
from withhold.domain.names import Ordinal, PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.preferences import turned_off
from withhold.domain.standing import NEVER_OUT, OUT, Becomes, Effect
from withhold.domain.values import changed
from withhold.errors import (
    InputError,
    LockedByPlan,
    StateUnknown,
    StorageError,
    UnknownPlan,
    VerificationError,
)
from withhold.ports import Ledger, Outcome, Remembered, Transaction

VIBE = ProductId("vibe")


@dataclass
class SqliteHome:
    """A home that can be opened again, as another process or after a crash would."""

    folder: Path

    @contextmanager
    def open(self) -> Iterator[SqliteLedger]:
        control = Control(self.folder / "control.db")
        keys = SubjectKeys(self.folder / "keys.db")
        yield SqliteLedger(control, keys)
        control.close()
        keys.close()


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger()
        return
    with SqliteHome(tmp_path).open() as real:
        yield real


def adopt(ledger: Ledger) -> Position:
    """Adopt the shipped policy with one plan's parties."""

    def change(transaction: Transaction) -> Position:
        default = transaction.new_party(PartyKind.PLAN_DEFAULT, VIBE, None)
        lock = transaction.new_party(PartyKind.PLAN_LOCK, VIBE, None)
        effects = (Effect(default, Becomes.NEVER_OUT), Effect(lock, Becomes.OUT))
        body: dict[str, Json] = {"policy": POLICY, "parties": [[VIBE, "free", default, lock]]}
        at = transaction.next
        plan = PlanParties(VIBE, PlanId("free"), default, NEVER_OUT, lock, OUT, at, 1)
        event = Event(EventKind.POLICY_ADOPTED, None, body, 1, effects, plans=(plan,))
        position = transaction.add(event)
        transaction.adopted(POLICY)
        return position

    return ledger.append(change)


def adopt_text(transaction: Transaction, text: str) -> str:
    """Adopt a policy without plans; return the version in force."""
    transaction.add(Event(EventKind.POLICY_ADOPTED, None, {"policy": text}, 1))
    transaction.adopted(text)
    return transaction.policy.version


def open_account(transaction: Transaction, name: str, opens: Opens = Opens.ON) -> Subject:
    no = transaction.new_subject()
    parties = {VIBE: transaction.new_party(PartyKind.ACCOUNT, VIBE, no)}
    opening = Opening(no, SubjectKind.ACCOUNT, name, parties, {VIBE: PlanId("free")}, {}, opens)
    body: dict[str, Json] = {
        "no": no,
        "opens": opens.value,
        "plans": {VIBE: "free"},
        "parties": dict(parties),
    }
    change = opened(opening, At(transaction.next, 5))
    return put(transaction, EventKind.ACCOUNT_OPENED, change, body)


def put(
    transaction: Transaction,
    kind: EventKind,
    change: Change | None,
    body: Mapping[str, Json] = MappingProxyType({"product": VIBE}),
) -> Subject:
    assert change is not None
    record = change.record
    transaction.add(Event(kind, record.no, body, 5, change.effects, record))
    return record


def opt_out(transaction: Transaction, name: str) -> Subject:
    subject = transaction.find(SubjectKind.ACCOUNT, name)
    assert subject is not None
    change = turned_off(subject, VIBE, At(transaction.next, 5))
    return put(transaction, EventKind.OPTED_OUT, change)


def test_a_new_ledger_is_empty(ledger: Ledger) -> None:
    assert ledger.head() == 0
    assert ledger.record(Position(1)) is None
    assert ledger.standings().standing(PartyNo(0)) == OUT
    assert ledger.verify() == 0


def test_without_a_policy_there_is_no_directory_to_ask(ledger: Ledger) -> None:
    with ledger.directory() as directory, pytest.raises(InputError, match="no policy"):
        assert directory.policy


def test_positions_start_at_one_and_follow_each_other(ledger: Ledger) -> None:
    assert adopt(ledger) == 1
    ana = ledger.append(lambda t: open_account(t, "ana"))
    assert (ana.last, ledger.head()) == (2, 2)


def test_what_was_added_is_visible_in_the_same_transaction(ledger: Ledger) -> None:
    adopt(ledger)

    def change(transaction: Transaction) -> None:
        ana = open_account(transaction, "ana")
        assert transaction.find(SubjectKind.ACCOUNT, "ana") == ana
        assert transaction.subject(ana.no) == ana
        assert (transaction.head, transaction.next) == (2, 3)
        assert opt_out(transaction, "ana") == transaction.subject(ana.no)
        assert [s.id for s in transaction.accounts(SubjectNo(0))] == ["ana"]

    ledger.append(change)
    with ledger.directory() as directory:
        found = directory.find(SubjectKind.ACCOUNT, "ana")
        assert found is not None
        assert found.holdings[VIBE].is_out
        assert directory.find(SubjectKind.ORGANIZATION, "ana") is None


def test_whoever_has_entries_between_two_positions_is_named_once(ledger: Ledger) -> None:
    adopt(ledger)
    ana, bo = (ledger.append(lambda t, n=name: open_account(t, n)).no for name in ("ana", "bo"))
    ledger.append(lambda t: opt_out(t, "ana"))

    def named(after: int, upto: int) -> list[SubjectNo]:
        return list(ledger.append(lambda t: t.named(Position(after), Position(upto))))

    assert named(0, 4) == [ana, bo], "an entry of a policy names nobody"
    assert named(2, 4) == [ana, bo]
    assert named(3, 4) == [ana]
    assert named(4, 9) == []
    above = ledger.append(lambda t: [s.no for s in t.accounts(ana)])
    assert above == [bo]


def test_a_change_that_raises_leaves_no_trace(ledger: Ledger) -> None:
    adopt(ledger)

    def change(transaction: Transaction) -> None:
        open_account(transaction, "ana")
        transaction.remember("key", Remembered(b"d", Position(2)))
        raise LockedByPlan("no")

    with pytest.raises(LockedByPlan):
        ledger.append(change)
    assert ledger.head() == 1
    with ledger.directory() as directory:
        assert directory.find(SubjectKind.ACCOUNT, "ana") is None
    assert ledger.append(lambda t: t.recall("key")) is None
    assert ledger.append(lambda t: open_account(t, "bo")).no == 1
    assert ledger.verify() == 2


def test_standings_follow_entries_and_unknown_parties_are_out(ledger: Ledger) -> None:
    adopt(ledger)
    ana = ledger.append(lambda t: open_account(t, "ana"))
    party = ana.holdings[VIBE].party
    before = ledger.standings()
    assert before.standing(party) == NEVER_OUT
    assert before.kind(party) is PartyKind.ACCOUNT
    assert [before.kind(PartyNo(n)) for n in (0, 1)] == [
        PartyKind.PLAN_DEFAULT,
        PartyKind.PLAN_LOCK,
    ]
    ledger.append(lambda t: opt_out(t, "ana"))
    after = ledger.standings()
    assert (after.standing(party), after.position) == (OUT, 3)
    assert before.standing(party) == NEVER_OUT, "a table that was handed out changed"
    assert after.standing(PartyNo(999)) == OUT
    assert after.kind(PartyNo(999)) is PartyKind.ACCOUNT


def test_standings_at_an_earlier_position_are_rebuilt_from_entries(ledger: Ledger) -> None:
    adopt(ledger)
    party = ledger.append(lambda t: open_account(t, "ana")).holdings[VIBE].party
    ledger.append(lambda t: opt_out(t, "ana"))
    assert ledger.standings_at(Position(1)).standing(party) == OUT
    assert ledger.standings_at(Position(2)).standing(party) == NEVER_OUT
    assert ledger.standings_at(Position(9)).position == 3


def test_an_entry_opens_to_its_event_and_commits_to_it(ledger: Ledger) -> None:
    adopt(ledger)
    ledger.append(lambda t: open_account(t, "ana"))
    record = ledger.record(Position(2))
    assert record is not None
    assert record.opening is not None
    check_entry(record.entry, Position(2), record.previous_chain, record.chain)
    assert commitment_in(record.entry) == sealed_commitment(record.opening, record.event)
    event = json.loads(record.event)
    assert (event["kind"], event["subject"], event["sequence"]) == ("account_opened", "ana", 1)
    assert event["effects"] == [[2, 0]]
    public = ledger.record(Position(1))
    assert public is not None
    assert public.opening is None


def test_a_consent_record_is_told_newest_first(ledger: Ledger) -> None:
    adopt(ledger)
    ana = ledger.append(lambda t: open_account(t, "ana"))
    ledger.append(lambda t: open_account(t, "bo"))
    ledger.append(lambda t: opt_out(t, "ana"))
    assert [r.position for r in ledger.records_of(ana.no)] == [4, 2]
    assert list(ledger.records_of(SubjectNo(77))) == []


def test_who_else_an_event_names_is_kept_beside_it_and_only_committed_to(ledger: Ledger) -> None:
    adopt(ledger)

    def change(transaction: Transaction) -> Position:
        ana = open_account(transaction, "ana")
        off = turned_off(ana, VIBE, At(transaction.next, 5))
        assert off is not None
        others = {"actor": "eve", "group": ["ana", "eve"]}
        record = off.record
        event = Event(EventKind.OPTED_OUT, ana.no, {"product": VIBE}, 5, off.effects, record)
        return transaction.add(changed(event, hidden=others))

    record = ledger.record(ledger.append(change))
    assert record is not None
    assert record.hidden == {"actor": "eve", "group": ["ana", "eve"]}
    assert b"eve" not in record.event
    said = json.loads(record.event)
    for name in ("actor", "group"):
        assert list(said[name]) == ["hidden"]
        assert len(said[name]["hidden"]) == 64
    assert ledger.verify() == record.position


def test_the_policy_at_a_position_is_the_one_adopted_last_until_then(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="no policy"):
        ledger.policy_at(Position(1))
    first = adopt(ledger)
    ledger.append(lambda t: open_account(t, "ana"))

    def change(transaction: Transaction) -> None:
        text = POLICY.replace('version = "2026-11-26"', 'version = "b"')
        transaction.add(Event(EventKind.POLICY_ADOPTED, None, {"policy": text}, 1))
        transaction.adopted(text)

    ledger.append(change)
    versions = [ledger.policy_at(Position(p)).version for p in (first, 2, 3, 99)]
    assert versions == ["2026-11-26", "2026-11-26", "b", "b"]


def test_deleted_rows_are_part_of_the_entry(ledger: Ledger) -> None:
    adopt(ledger)
    deleted = (DeletedRow(VIBE, Ordinal(7)),)
    ledger.append(lambda t: t.add(Event(EventKind.ROWS_DELETED, None, {}, 1, deleted=deleted)))
    record = ledger.record(Position(2))
    assert record is not None
    assert json.loads(record.event)["deleted"] == [["vibe", 7]]
    assert ledger.verify() == 2


def test_public_entries_of_a_person_are_blinded_and_no_others(ledger: Ledger) -> None:
    adopt(ledger)
    event = Event(EventKind.ROWS_DELETED, None, {}, 1)
    ledger.append(lambda t: (t.add(event), t.add(event), open_account(t, "ana")))
    records = [ledger.record(Position(position)) for position in (1, 2, 3, 4)]
    blinds = [json.loads(r.event).get("blind", "") for r in records if r is not None]
    assert [len(bytes.fromhex(each)) for each in blinds] == [0, 32, 32, 0]
    assert blinds[1] != blinds[2]


def test_a_plan_no_policy_had_is_unknown(ledger: Ledger) -> None:
    adopt(ledger)
    with ledger.directory() as directory, pytest.raises(UnknownPlan):
        directory.plan(VIBE, PlanId("gold"))


def test_a_snapshot_does_not_see_what_comes_after_it(ledger: Ledger) -> None:
    adopt(ledger)
    ana = ledger.append(lambda t: open_account(t, "ana"))
    with ledger.directory() as earlier:
        assert earlier.head == 2
        ledger.append(lambda t: opt_out(t, "ana"))
        with ledger.directory() as later:
            assert later.subject(ana.no).holdings[VIBE].is_out
        assert earlier.subject(ana.no) == ana
    with ledger.directory() as now:
        assert now.subject(ana.no).holdings[VIBE].is_out


def test_many_threads_append_without_gaps(ledger: Ledger) -> None:
    adopt(ledger)
    heads: list[int] = []

    def work(name: str) -> None:
        for n in range(10):
            subject = ledger.append(lambda t, n=n: open_account(t, f"{name}-{n}"))
            heads.append(subject.last)

    threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(heads) == list(range(2, 82))
    assert ledger.verify() == 81


def test_a_failing_change_does_not_take_the_others_with_it(ledger: Ledger) -> None:
    adopt(ledger)
    refusals: list[str] = []

    def good(name: str) -> None:
        ledger.append(lambda t: open_account(t, name))

    def bad(name: str) -> None:
        def change(transaction: Transaction) -> None:
            open_account(transaction, name)
            raise LockedByPlan(name)

        try:
            ledger.append(change)
        except LockedByPlan as error:
            refusals.append(str(error))

    calls: list[tuple[Callable[[str], None], str]] = [
        (bad if n % 3 == 0 else good, f"n{n}") for n in range(48)
    ]
    threads = [threading.Thread(target=call, args=(name,)) for call, name in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(refusals) == sorted(name for call, name in calls if call is bad)
    with ledger.directory() as directory:
        for call, name in calls:
            assert (directory.find(SubjectKind.ACCOUNT, name) is None) == (call is bad)
    assert ledger.verify() == 1 + 32


def test_a_second_process_sees_the_write_at_once(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    with home.open() as one, home.open() as other:
        adopt(one)
        ana = one.append(lambda t: open_account(t, "ana"))
        with other.directory() as directory:
            assert directory.subject(ana.no) == ana
        one.append(lambda t: opt_out(t, "ana"))
        assert other.standings().standing(ana.holdings[VIBE].party) == OUT
        with other.directory() as directory:
            assert directory.subject(ana.no).holdings[VIBE].is_out
        assert other.append(lambda t: open_account(t, "bo")).no > ana.no
        assert one.append(lambda t: open_account(t, "cy")).last == 5
        assert one.verify() == other.verify() == 5


def test_a_policy_that_was_undone_is_forgotten(ledger: Ledger) -> None:
    other = POLICY.replace('version = "', 'version = "other-', 1)

    def undone(transaction: Transaction) -> None:
        assert adopt_text(transaction, other).startswith("other-")
        raise LockedByPlan("no")

    with pytest.raises(LockedByPlan):
        ledger.append(undone)
    version = ledger.append(lambda t: adopt_text(t, POLICY))
    assert not version.startswith("other-")
    with ledger.directory() as directory:
        assert directory.policy.version == version
    assert ledger.append(lambda t: t.policy.version) == version


def submitted(ledger: Ledger, change: Callable[[Transaction], object]) -> Outcome[object]:
    """Submit a change and wait until it was told."""
    told: queue.Queue[tuple[int, Outcome[object]]] = queue.Queue()
    ledger.submit(change, lambda outcome: told.put((threading.get_ident(), outcome)))
    thread, outcome = told.get(timeout=30)
    assert thread != threading.get_ident()
    assert told.empty()
    return outcome


def test_a_submitted_change_is_told_once_it_can_be_read(ledger: Ledger) -> None:
    adopt(ledger)
    ana = submitted(ledger, lambda t: open_account(t, "ana")).get()
    assert isinstance(ana, Subject)
    with ledger.directory() as directory:
        assert directory.find(SubjectKind.ACCOUNT, "ana") == ana
    assert ledger.verify() == 2


def test_a_submitted_change_that_is_refused_leaves_nothing_and_tells_why(ledger: Ledger) -> None:
    adopt(ledger)

    def refused(transaction: Transaction) -> None:
        open_account(transaction, "ana")
        raise LockedByPlan("no")

    outcome = submitted(ledger, refused)
    for _ in range(2):
        with pytest.raises(LockedByPlan):
            outcome.get()
    assert ledger.head() == 1


def test_what_is_submitted_and_what_is_appended_make_one_order(ledger: Ledger) -> None:
    adopt(ledger)
    told: queue.Queue[Outcome[Subject]] = queue.Queue()

    def opens(name: str) -> Callable[[Transaction], Subject]:
        return lambda transaction: open_account(transaction, name)

    def append_some(who: int) -> None:
        for number in range(10):
            ledger.append(opens(f"appended-{who}-{number}"))

    threads = [threading.Thread(target=append_some, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for number in range(40):
        ledger.submit(opens(f"submitted-{number}"), told.put)
    for thread in threads:
        thread.join()
    positions = {told.get(timeout=30).get().last for _ in range(40)}
    assert len(positions) == 40
    assert ledger.verify() == 81


def test_everything_confirmed_is_there_after_opening_again(tmp_path: Path) -> None:
    home = SqliteHome(tmp_path)
    with home.open() as ledger:
        adopt(ledger)
        ana = ledger.append(lambda t: open_account(t, "ana"))
        key = ledger.token_key()
        ledger.append(lambda t: t.remember("k", Remembered(b"d", Position(2))))
    with home.open() as ledger:
        with ledger.directory() as directory:
            assert directory.subject(ana.no) == ana
        assert ledger.append(lambda t: t.recall("k")) == Remembered(b"d", Position(2))
        assert ledger.token_key() == key
        assert ledger.verify() == 2


@pytest.mark.parametrize(
    ("how", "error", "kept"),
    [
        (Fault.FAIL_NOT_PERSISTED, StorageError, 1),
        (Fault.FAIL_PERSISTED, StateUnknown, 2),
    ],
)
def test_a_write_that_fails_is_never_answered_as_done(
    how: Fault, error: type[Exception], kept: int
) -> None:
    armed = False
    ledger = MemoryLedger(lambda _: how if armed else None)
    adopt(ledger)
    armed = True
    with pytest.raises(error):
        ledger.append(lambda t: open_account(t, "ana"))
    assert ledger.head() == kept


def test_the_entry_that_opened_a_subject_is_found_and_commits_to_the_secret_of_its_tags(
    ledger: Ledger,
) -> None:
    adopt(ledger)
    ana = ledger.append(lambda transaction: open_account(transaction, "ana"))
    bo = ledger.append(lambda transaction: open_account(transaction, "bo"))
    ledger.append(lambda transaction: opt_out(transaction, "ana"))
    committed = set()
    for subject in (ana, bo):
        record = ledger.first_record(subject.no)
        event = json.loads(record.event)
        assert (event["kind"], event["subject"], event["sequence"]) == (
            "account_opened",
            subject.id,
            1,
        )
        committed.add(event["tag_secret"])
    assert len(committed) == 2
    with pytest.raises(VerificationError):
        ledger.first_record(SubjectNo(77))


def test_public_entries_of_a_kind_are_yielded_in_order(ledger: Ledger) -> None:
    adopt(ledger)
    ledger.append(lambda transaction: open_account(transaction, "ana"))
    for number in range(3):
        body = {"number": number}
        event = Event(EventKind.DATASET_TAGGED, None, body, 0)
        ledger.append(lambda transaction, event=event: transaction.add(event))  # type: ignore[misc]
    found = [*ledger.public_records([EventKind.DATASET_TAGGED])]
    assert [(r.position, json.loads(r.event)["number"]) for r in found] == [(3, 0), (4, 1), (5, 2)]
    assert len([*ledger.public_records([EventKind.DATASET_TAGGED, EventKind.POLICY_ADOPTED])]) == 4
    assert [*ledger.public_records([EventKind.ACCOUNT_OPENED])] == [], "it is sealed"


def test_the_accounts_behind_parties_are_those_of_people_alone(ledger: Ledger) -> None:
    adopt(ledger)
    people = [
        ledger.append(lambda transaction, name=name: open_account(transaction, name))  # type: ignore[misc]
        for name in ("ana", "bo", "cy")
    ]

    def more(transaction: Transaction) -> list[PartyNo]:
        """Give bo a party in another product, and an organisation one."""
        studio = transaction.new_party(PartyKind.ACCOUNT, ProductId("studio"), people[1].no)
        no = transaction.new_subject()
        return [studio, transaction.new_party(PartyKind.ORGANIZATION, VIBE, no)]

    studio, organization = ledger.append(more)
    party = {p.id: p.holdings[VIBE].party for p in people}
    for parties, accounts in (
        ([], []),
        ([0, 1, organization], []),
        ([party["cy"], party["ana"], 0], [people[0].no, people[2].no]),
        ([studio, party["bo"]], [people[1].no]),
        (range(organization + 1), [p.no for p in people]),
    ):
        assert ledger.accounts_of(parties).tolist() == accounts

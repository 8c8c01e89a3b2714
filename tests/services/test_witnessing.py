"""S29: a ledger that is older than one that was seen, or another one, takes nothing and yields nothing.

Each case puts a home into a state and says whether it may be used, and what is told.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

import withhold
from tests.fakes.witness import WitnessServer, served
from tests.simulator import SHIPPED, VIBE, interaction
from withhold.adapters.embedded import SEEN, Options, open_embedded
from withhold.adapters.witness import FileWitness
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.domain.notes import Signature
from withhold.domain.witnesses import Prove, follows
from withhold.errors import InputError, LedgerBehind, VerificationError
from withhold.ports import Ports, Witness
from withhold.services import (
    audit,
    builds,
    capture,
    directory,
    erasure,
    policies,
    preferences,
    sealing,
    witnessing,
)
from withhold.services import log as logs
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

POLICY = SHIPPED.read_text(encoding="utf-8")


@dataclass
class Homes:
    """Folders of one operator: the home, a backup of it, other storage with a witness in a file."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def witness(self) -> Path:
        return self.folder / "storage" / "seen"

    @contextmanager
    def opened(
        self, home: str = "home", witness: str | None = None, state: Path | None = None
    ) -> Iterator[Ports]:
        named = f"file:{self.witness}" if witness is None else witness
        options = Options(witnesses=tuple(filter(None, [named])), state=state)
        with open_embedded(self.folder / home, options) as ports:
            if not ports.ledger.head():
                policies.adopt(ports, POLICY)
            yield ports

    def back_up(self) -> None:
        shutil.copytree(self.home, self.folder / "backup")

    def restore(self, *parts: str) -> None:
        """Put back all of the backup, or some of its parts."""
        for part in parts or [path.name for path in (self.folder / "backup").iterdir()]:
            there = self.home / part
            if there.is_dir():
                shutil.rmtree(there)
                shutil.copytree(self.folder / "backup" / part, there)
            else:
                for old in self.home.glob(f"{part}*"):
                    old.unlink()
                shutil.copy(self.folder / "backup" / part, there)


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    (tmp_path / "storage").mkdir()
    return Homes(tmp_path)


def sign_up(ports: Ports, *names: str) -> None:
    for name in names:
        directory.put_account(ports, AccountRequest(AccountId(name)))


def turn(ports: Ports, name: str, *, allowed: bool) -> None:
    request = PreferenceRequest(SubjectKind.ACCOUNT, name, VIBE, allowed)
    preferences.set_preference(ports, request)


def a_day(homes: Homes, ports: Ports) -> None:
    """Ana and bo chat, a dataset is built; a backup is made after this."""
    sign_up(ports, "ana", "bo")
    capture.capture(ports, [interaction("ana", "r1"), interaction("bo", "r2")])
    builds.build(ports, "chat", VIBE)
    witnessing.witness(ports)


def the_next_day(ports: Ports) -> None:
    """Ana opts out; more people come."""
    turn(ports, "ana", allowed=False)
    sign_up(ports, "cy", "dan")
    witnessing.witness(ports)


def takes_nothing(ports: Ports, home: Path) -> None:
    head = ports.ledger.head()
    refused: list[Callable[[], object]] = [
        lambda: capture.capture(ports, [interaction("bo", "r9")]),
        lambda: builds.build(ports, "chat", VIBE),
        lambda: policies.adopt(ports, POLICY.replace('version = "', 'version = "x', 1)),
        lambda: turn(ports, "bo", allowed=True),
        lambda: turn(ports, "bo", allowed=False),
        lambda: sign_up(ports, "eve"),
        lambda: erasure.erase(ports, AccountId("bo")),
        lambda: logs.replace_key(ports),
        lambda: witnessing.witness(ports),
    ]
    for act in refused:
        with pytest.raises(LedgerBehind, match="read-only"):
            act()
    assert ports.ledger.head() == head
    assert logs.said(ports.log.checkpoint()).head.size == head  # it can still be looked at
    with ports.ledger.directory() as found:
        assert found.head == head


def is_shut(homes: Homes, told: str, witness: str | None = None) -> None:
    with homes.opened(witness=witness) as ports:
        assert told in ports.watch.gate.reason
        takes_nothing(ports, homes.home)


def prepared(homes: Homes) -> tuple[int, int]:
    """Live two days, with a backup between them; return the heads of both."""
    with homes.opened() as ports:
        a_day(homes, ports)
        first = ports.ledger.head()
    homes.back_up()
    with homes.opened() as ports:
        the_next_day(ports)
        return first, ports.ledger.head()


def test_a_restored_older_backup_is_read_only_and_names_the_gap(homes: Homes) -> None:
    first, last = prepared(homes)
    homes.restore()
    is_shut(homes, f"entries {first + 1} to {last} are missing")
    is_shut(homes, f"entries {first + 1} to {last} are missing")  # looking changed nothing


def test_the_audit_of_an_older_ledger_finds_the_first_entry_that_is_missing(homes: Homes) -> None:
    first, last = prepared(homes)
    with homes.opened() as ports:
        assert audit.audit(ports).holds
    homes.restore()
    with homes.opened() as ports:
        report = audit.audit(ports)
    assert not report.holds
    assert report.first == first + 1
    assert f"entries {first + 1} to {last} are missing" in report.faults[0].sentence


def test_a_witness_within_the_home_is_none(homes: Homes) -> None:
    with (
        pytest.raises(InputError, match="outside of the home"),
        homes.opened(witness=f"file:{homes.home}/seen"),
    ):
        pass


def test_a_reader_refuses_an_older_ledger(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(homes)
    homes.restore()
    monkeypatch.setenv("WITHHOLD_WITNESS", f"file:{homes.witness}")
    with pytest.raises(LedgerBehind, match="are missing"):
        withhold.load("chat@1", home=homes.home)


def test_a_newer_backup_opens_it_again(homes: Homes) -> None:
    _, last = prepared(homes)
    shutil.copytree(homes.home, homes.folder / "newest")
    homes.restore()
    is_shut(homes, "are missing")
    shutil.rmtree(homes.home)
    shutil.copytree(homes.folder / "newest", homes.home)
    with homes.opened() as ports:
        assert ports.watch.gate.reason == ""
        assert ports.ledger.head() == last
        turn(ports, "bo", allowed=False)


def test_the_homes_own_note_is_enough_when_only_the_database_is_restored(homes: Homes) -> None:
    first, last = prepared(homes)
    homes.restore("control.db")
    is_shut(homes, f"entries {first + 1} to {last} are missing", witness="")


def test_a_control_database_that_is_gone_is_not_begun_anew(homes: Homes) -> None:
    _, last = prepared(homes)
    (homes.home / "control.db").unlink()
    with (
        pytest.raises(LedgerBehind, match=f"entries 1 to {last} are missing"),
        homes.opened(witness=""),
    ):
        pass


def test_a_ledger_that_went_its_own_way_after_a_restore_is_another_one(homes: Homes) -> None:
    _, last = prepared(homes)
    homes.restore()
    (homes.home / SEEN).unlink()
    with homes.opened(witness="") as ports:  # nobody watches: it goes on, and is longer in the end
        sign_up(ports, *(f"other-{n}" for n in range(9)))
    is_shut(homes, f"some entry from 1 to {last} is not the one that was seen before")


def test_the_ledger_of_another_home_is_another_one(homes: Homes) -> None:
    _, last = prepared(homes)
    with homes.opened("other", witness="") as ports:
        sign_up(ports, *(f"o{n}" for n in range(20)))
    shutil.copy(homes.folder / "other" / "control.db", homes.home / "control.db")
    with homes.opened() as ports:
        assert f"some entry from 1 to {last}" in ports.watch.gate.reason
    shutil.copy(homes.folder / "other" / "keys.db", homes.home / "keys.db")
    with homes.opened() as ports:
        assert "was seen before, this one is" in ports.watch.gate.reason


def restore_unseen(homes: Homes) -> None:
    """Put back the backup without its keys, as if nobody had ever seen more."""
    homes.restore("control.db", "capture.db")
    (homes.home / SEEN).unlink(missing_ok=True)


def test_keys_that_tell_of_a_later_erasure_shut_the_gate_of_an_older_ledger(homes: Homes) -> None:
    with homes.opened(witness="") as ports:
        a_day(homes, ports)
        first = ports.ledger.head()
    homes.back_up()
    with homes.opened(witness="") as ports:
        sign_up(ports, "cy")
        position = erasure.erase(ports, AccountId("cy")).position
    restore_unseen(homes)
    is_shut(homes, f"it has {first} entries, and entry {position} erased somebody", witness="")
    with homes.opened("other", witness="") as ports:
        sign_up(ports, *(f"o{n}" for n in range(20)))
    shutil.copy(homes.folder / "other" / "control.db", homes.home / "control.db")
    with homes.opened(witness="") as ports:
        assert f"entry {position} erased somebody" in ports.watch.gate.reason


def test_nobody_gets_the_key_of_somebody_whom_an_older_ledger_forgot(homes: Homes) -> None:
    def secret(ports: Ports, name: str) -> bytes | None:
        with ports.ledger.directory() as found:
            subject = found.find(SubjectKind.ACCOUNT, name)
        assert subject is not None
        return ports.tags.secret(subject.no)

    with homes.opened(witness="") as ports:
        a_day(homes, ports)
    homes.back_up()
    with homes.opened(witness="") as ports:
        sign_up(ports, "cy", "dan")
        theirs = {secret(ports, name) for name in ("ana", "bo", "cy", "dan")}
    restore_unseen(homes)
    with homes.opened(witness="") as ports:
        assert ports.watch.gate.reason == ""  # nobody knows of cy and dan
        sign_up(ports, "eve", "flo")
        assert len(theirs | {secret(ports, "eve"), secret(ports, "flo")}) == 6
        assert erasure.erase(ports, AccountId("ana")).is_purged
        assert ports.ledger.verify() == ports.ledger.head()


@pytest.mark.parametrize("is_watched", [True, False])
def test_no_key_is_deleted_on_the_word_of_another_ledger(homes: Homes, is_watched: bool) -> None:
    with homes.opened(witness="") as ports:
        sign_up(ports, "ana", "bo", "cy")
        witnessing.witness(ports)
        head = ports.ledger.head()
    homes.back_up()
    with homes.opened("other", witness="") as ports:
        sign_up(ports, "x", "y", "z")
        for name in ("x", "y"):
            erasure.erase(ports, AccountId(name))
        witnessing.witness(ports)
    shutil.copy(homes.folder / "other" / "control.db", homes.home / "control.db")
    if not is_watched:
        (homes.home / SEEN).unlink()
    with homes.opened(witness="") as ports:
        assert bool(ports.watch.gate.reason) == is_watched
        assert not ports.ledger.purge()
    homes.restore()
    with homes.opened(witness="") as ports:
        assert ports.watch.gate.reason == ""
        assert ports.ledger.verify() == head


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (Path.unlink, "knows of 0 now"),
        (lambda path: path.write_bytes(b""), "knows of 0 now"),
        (lambda path: path.write_bytes(path.read_bytes().splitlines(keepends=True)[0]), "knows of"),
        (lambda path: path.write_bytes(b"garbage\n"), "not a checkpoint"),
    ],
)
def test_a_witness_that_lost_what_it_had_seen_shuts_the_gate(
    homes: Homes, damage: Callable[[Path], object], told: str
) -> None:
    prepared(homes)
    damage(homes.witness)
    is_shut(homes, told)
    is_shut(homes, told)  # also the second time: it did not learn the head meanwhile
    with homes.opened(witness=f"file:{homes.folder / 'storage' / 'fresh'}") as ports:
        assert ports.watch.gate.reason == ""  # another one begins anew


def test_a_witness_that_does_not_answer_shuts_nothing(homes: Homes) -> None:
    prepared(homes)
    nobody = f"file:{homes.folder / 'not mounted' / 'seen'}"
    with homes.opened(witness=nobody) as ports:
        assert ports.watch.gate.reason == ""
        (report,) = witnessing.witness(ports)
        assert report.size is None
        assert "cannot be used" in report.fault
        turn(ports, "bo", allowed=False)


def test_a_look_that_is_damaged_shuts_the_gate(homes: Homes) -> None:
    prepared(homes)
    (homes.home / SEEN).write_bytes(b"{")
    is_shut(homes, "damaged")


def test_the_users_own_note_is_held_against_a_whole_home_that_was_restored(homes: Homes) -> None:
    state = homes.folder / "state"
    with homes.opened(witness="", state=state) as ports:
        a_day(homes, ports)
    homes.back_up()
    with homes.opened(witness="", state=state) as ports:
        the_next_day(ports)
    homes.restore()
    with homes.opened(witness="") as ports:
        assert ports.watch.gate.reason == ""  # nobody else knows
    with homes.opened(witness="", state=state) as ports:
        assert "are missing" in ports.watch.gate.reason


def test_a_capture_store_that_is_older_than_the_ledger_is_told(homes: Homes) -> None:
    with homes.opened() as ports:
        a_day(homes, ports)
    homes.back_up()
    with homes.opened() as ports:
        capture.capture(ports, [interaction("bo", "r3"), interaction("bo", "r4")])
        sealing.seal(ports)
    homes.restore("capture.db")
    is_shut(homes, "capture.db is older than control.db: rows 3 to 4 of vibe are missing")


# --- a witness of somebody else -----------------------------------------------------------------------


@pytest.fixture
def server(homes: Homes) -> Iterator[WitnessServer]:
    with homes.opened() as ports:
        origin, key = ports.log.origin, ports.log.keys()[0]
    with served(origin, key) as running:
        yield running


def test_a_witness_elsewhere_cosigns_and_shuts_the_gate_of_an_older_ledger(
    homes: Homes, server: WitnessServer
) -> None:
    with homes.opened(witness=server.setting) as ports:
        a_day(homes, ports)
        first = ports.ledger.head()
        assert ports.log.kept(cosigned=True) == ports.log.kept() == logs.newest(ports.log)
        assert witnessing.lag(ports) == {server.signer.key.name: 0}
        sign_up(ports, "late")
        assert witnessing.lag(ports) == {server.signer.key.name: 1}
    homes.back_up()
    with homes.opened(witness=server.setting) as ports:
        the_next_day(ports)
        last = ports.ledger.head()
    homes.restore()
    is_shut(homes, f"entries {first + 2} to {last} are missing", witness=server.setting)
    server.answer = (500, "text/plain", b"", {})
    with homes.opened(witness=server.setting) as ports:  # nobody answers: a warning, and it goes on
        assert ports.watch.gate.reason == ""


def test_two_servers_from_one_backup_are_found_while_they_run(
    homes: Homes, server: WitnessServer
) -> None:
    with homes.opened(witness=server.setting) as ports:
        a_day(homes, ports)
    homes.back_up()
    with (
        homes.opened(witness=server.setting) as one,
        homes.opened("backup", witness=server.setting) as other,
    ):
        sign_up(one, "in-the-first")
        sign_up(other, "in-the-second")
        assert all(not report.fault for report in witnessing.witness(one))
        (report,) = witnessing.witness(other)
        assert "another log" in report.fault
        takes_nothing(other, homes.folder / "backup")
        turn(one, "bo", allowed=False)


# --- many processes at once -------------------------------------------------------------------------


@dataclass
class Overtaken:
    """A witness to whom somebody else shows a newer head while a request is under way.

    Attributes:
        times: how many requests are overtaken; the ones after them are not.
    """

    real: Witness
    other: Ports
    times: int

    @property
    def name(self) -> str:
        return self.real.name

    def show(self, note: bytes, prove: Prove, had: int) -> Sequence[Signature]:
        if self.times:
            self.times -= 1
            sign_up(self.other, f"meanwhile-{self.times}")
            witnessing.witness(self.other)
        return self.real.show(note, prove, had)


def overtaken(ports: Ports, other: Ports, times: int) -> Ports:
    (real,) = ports.watch.witnesses
    return replace(ports, watch=replace(ports.watch, witnesses=(Overtaken(real, other, times),)))


@pytest.mark.parametrize("kind", ["file", "http"])
@pytest.mark.parametrize("act", [witnessing.witness, witnessing.check])
def test_a_newer_head_that_somebody_else_shows_meanwhile_is_no_fault(
    homes: Homes,
    kind: str,
    act: Callable[[Ports], tuple[witnessing.Report, ...]],
    request: pytest.FixtureRequest,
) -> None:
    named = request.getfixturevalue("server").setting if kind == "http" else None
    with homes.opened(witness=named) as one, homes.opened(witness=named) as other:
        sign_up(one, "ana")
        witnessing.witness(one)
        (report,) = act(overtaken(one, other, 2))
        assert (report.fault, report.size) == ("", one.ledger.head())
        (report,) = act(overtaken(one, other, 99))
        assert "asked again later" in report.fault
        assert report.size is None
        assert one.watch.gate.reason == other.watch.gate.reason == ""
        turn(one, "ana", allowed=False)
        assert act(one)[0].fault == ""


def test_a_longer_log_elsewhere_is_a_fault_also_while_others_append(
    homes: Homes,
) -> None:
    first, last = prepared(homes)
    with homes.opened("backup", witness="") as ours:  # the witness is longer than this one will be
        show = FileWitness(homes.witness)
        watched = replace(ours, watch=replace(ours.watch, witnesses=(show,)))
        (report,) = witnessing.check(overtaken(watched, ours, 1))
        assert f"entries {first + 2} to {last} are missing" in report.fault
        assert ours.watch.gate.reason == report.fault


def _append_and_witness(folder: Path, who: int, told: Connection) -> None:
    with Homes(folder).opened() as ports:
        for number in range(20):
            sign_up(ports, f"p{who}-{number}")
            witnessing.witness(ports)
        tree = ports.log.verify()  # others go on appending while the ledger is looked at after it
        told.send((ports.watch.gate.reason, 20 < tree <= ports.ledger.verify()))


def test_processes_that_append_and_witness_at_once_never_become_read_only(homes: Homes) -> None:
    with homes.opened():
        pass
    spawning = get_context("spawn")
    pipes, processes = [], []
    for who in range(3):
        ours, theirs = spawning.Pipe(duplex=False)
        processes.append(
            spawning.Process(target=_append_and_witness, args=(homes.folder, who, theirs))
        )
        pipes.append(ours)
        processes[-1].start()
        theirs.close()
    for pipe, process in zip(pipes, processes, strict=True):
        assert pipe.recv() == ("", True)
        process.join()
    with homes.opened() as ports:
        assert ports.watch.gate.reason == ""


# --- S37 ------------------------------------------------------------------------------------------


def test_an_insider_who_rewrites_and_signs_everything_anew_is_caught_by_any_older_checkpoint(
    homes: Homes,
) -> None:
    """The insider has the keys, and makes a ledger of the same length without an opt-out."""
    with homes.opened() as ports:
        a_day(homes, ports)
        turn(ports, "ana", allowed=False)
        seen = [ports.log.checkpoint()]
        sign_up(ports, "cy")
        seen.append(ports.log.checkpoint())
        witnessing.witness(ports)
        last = ports.ledger.head()
    for name in ("control.db", SEEN):
        (homes.home / name).unlink()
    with homes.opened(witness="") as ports:
        sign_up(ports, *(f"p{n}" for n in range(last - 1)))
        assert ports.ledger.verify() == ports.log.verify() == last  # it holds by itself
        for each in seen:
            kept, now = logs.said(each), logs.said(ports.log.checkpoint())
            with pytest.raises(VerificationError, match=f"some entry from 1 to {kept.head.size}"):
                follows(kept, now, ports.log.consistency)
    with homes.opened() as ports:
        assert f"some entry from 1 to {last}" in ports.watch.gate.reason

"""What every `Log` promises, held against the fake and the real store alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from tests.fakes.log import MemoryLog
from withhold.adapters.signing import SeedSigner, verifies
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import FAR, SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.transaction import MOST_ADDED
from withhold.domain.checkpoints import (
    LogKey,
    OpenedCheckpoint,
    Trust,
    opened,
    parse_checkpoint,
    signature,
)
from withhold.domain.jws import unsigned
from withhold.domain.ledger import PUBLIC, entry_bytes, public_commitment
from withhold.domain.names import AccountId, Position
from withhold.domain.notes import SignatureType, parse_key, parse_note
from withhold.domain.proofs import check_proof, parse_proof
from withhold.domain.tiles import ENTRIES, WIDTH, RightEdge, TileId
from withhold.domain.tree import HASH_BYTES, TreeHead, check_consistency, leaf_hash
from withhold.errors import InputError, LockedByPlan, StateUnknown, StorageError, VerificationError
from withhold.ports import Log, Ports
from withhold.services import directory, policies
from withhold.services import log as logs
from withhold.services.directory import AccountRequest


@contextmanager
def home(folder: Path) -> Iterator[Ports]:
    folder.mkdir(exist_ok=True)
    control, keys = Control(folder / "control.db"), SubjectKeys(folder / "keys.db")
    ledger = SqliteLedger(control, keys)
    yield replace(ports_over(ledger), log=SqliteLog(control, LogKeys(keys)))
    control.close()
    keys.close()


@pytest.fixture(params=["memory", "sqlite"])
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ports]:
    if request.param == "memory":
        ledger = MemoryLedger()
        yield replace(ports_over(ledger), log=MemoryLog(ledger))
        return
    with home(tmp_path) as real:
        yield real


def fill(ports: Ports, size: int) -> None:
    """Let the ledger have this many entries."""
    if ports.ledger.head() == 0:
        policies.adopt(ports, POLICY)
    first, last = ports.ledger.head(), size
    directory.put_accounts(ports, [AccountRequest(AccountId(f"a{n}")) for n in range(first, last)])
    assert ports.ledger.head() == size


def trust(log: Log) -> Trust:
    return Trust(log.origin, log.keys())


def seen(log: Log) -> OpenedCheckpoint:
    return opened(log.checkpoint(), trust(log), verifies)


def entry_at(ports: Ports, position: int) -> bytes:
    record = ports.ledger.record(Position(position))
    assert record is not None
    return record.entry


def head_of(ports: Ports, size: int) -> TreeHead:
    leaves = [leaf_hash(entry_at(ports, position)) for position in range(1, size + 1)]
    return RightEdge().grown(leaves)[0].head()


def test_the_checkpoint_is_signed_and_says_the_head_of_all_entries(ports: Ports) -> None:
    assert seen(ports.log).checkpoint.head == head_of(ports, 0)
    for size in (1, 2, 5, 300):
        fill(ports, size)
        assert seen(ports.log).checkpoint.head == head_of(ports, size)
    assert ports.log.verify() == 300


def test_every_entry_is_proven_to_whoever_has_the_public_key(ports: Ports) -> None:
    fill(ports, 70)
    for position in range(1, 71):
        proof = parse_proof(bytes(ports.log.proof(Position(position))))
        leaf = leaf_hash(entry_at(ports, position))
        check_proof(leaf, proof, trust(ports.log), verifies)
        other = leaf_hash(entry_at(ports, position % 70 + 1))
        with pytest.raises(VerificationError):
            check_proof(other, proof, trust(ports.log), verifies)
    for position in (0, 71):
        with pytest.raises(InputError):
            ports.log.proof(Position(position))


def test_a_statement_is_signed_by_a_key_of_the_log_and_by_no_other(ports: Ports) -> None:
    fill(ports, 3)
    first = ports.log.keys()[0].key
    statement = unsigned(first, "test", b"{}")
    assert verifies(first, statement.message, ports.log.sign(first, statement))
    logs.replace_key(ports)
    second = ports.log.keys()[-1].key
    assert verifies(second, statement.message, ports.log.sign(second, statement))
    assert not verifies(first, statement.message, ports.log.sign(second, statement))
    stranger = SeedSigner(ports.log.origin, SignatureType.ED25519, b"s" * 32).key
    with pytest.raises(InputError):
        ports.log.sign(stranger, statement)


def test_every_tree_begins_with_every_older_one(ports: Ports) -> None:
    fill(ports, 40)
    for new in (1, 7, 32, 40):
        for old in range(new + 1):
            proof = ports.log.consistency(old, new)
            check_consistency(head_of(ports, old), head_of(ports, new), proof)
    with pytest.raises(InputError):
        ports.log.consistency(1, 41)
    with pytest.raises(InputError):
        ports.log.consistency(3, 2)


def test_tiles_hold_the_hashes_of_the_tree_and_there_are_no_others(ports: Ports) -> None:
    fill(ports, 2 * WIDTH + 3)
    leaves = [leaf_hash(entry_at(ports, p)) for p in range(1, 2 * WIDTH + 4)]
    assert ports.log.tile(TileId(0, 1)) == b"".join(leaves[WIDTH : 2 * WIDTH])
    assert ports.log.tile(TileId(0, 2, 3)) == b"".join(leaves[2 * WIDTH :])
    assert ports.log.tile(TileId(0, 2, 1)) == leaves[2 * WIDTH]
    assert ports.log.tile(TileId(0, 0, 200)) == b"".join(leaves[:200])
    above = ports.log.tile(TileId(1, 0, 2))
    assert above is not None
    first = RightEdge().grown(leaves[:WIDTH])[0].head().root
    assert above[:HASH_BYTES] == first
    for absent in (
        TileId(0, 2),
        TileId(0, 2, 4),
        TileId(0, 3, 1),
        TileId(1, 0, 3),
        TileId(2, 0, 1),
    ):
        assert ports.log.tile(absent) is None
    entries = ports.log.tile(TileId(ENTRIES, 2, 2))
    assert entries is not None
    assert entries[2 : 2 + int.from_bytes(entries[:2], "big")] == entry_at(ports, 2 * WIDTH + 1)
    assert ports.log.tile(TileId(ENTRIES, 2, 4)) is None


def test_a_key_that_was_replaced_signs_nothing_newer(ports: Ports) -> None:
    fill(ports, 3)
    (old,) = ports.log.keys()
    before = ports.log.checkpoint()
    position = logs.replace_key(ports)
    both = ports.log.keys()
    assert [(key.first, key.last) for key in both] == [(0, position), (position, None)]
    assert both[0].key == old.key != both[1].key
    assert seen(ports.log).signed_by == (both[0].key, both[1].key)  # the tree that says so
    fill(ports, 6)
    assert seen(ports.log).signed_by == (both[1].key,)
    opened(before, trust(ports.log), verifies)  # what was handed out stays valid
    with pytest.raises(VerificationError):  # whoever does not know the new key is not fooled
        opened(ports.log.checkpoint(), Trust(ports.log.origin, (old,)), verifies)
    logs.replace_key(ports)
    assert len(seen(ports.log).signed_by) == 2
    ports.log.verify()


def learned(old: Trust, handed: logs.Replacement) -> Trust:
    """Return whom somebody believes who believed the old keys, from what is handed out alone."""
    entry = entry_bytes(handed.position, PUBLIC, public_commitment(handed.event))
    proof = parse_proof(handed.proof)
    found = check_proof(leaf_hash(entry), proof, old, verifies)
    assert found.checkpoint.head.size == handed.position == proof.index + 1
    event = json.loads(handed.event)
    assert event["kind"] == "log_key_replaced"
    keys = [LogKey(parse_key(event[name]), handed.position) for name in ("key", "second_key")]
    new = Trust(old.origin, tuple(keys))
    signed_by = check_proof(leaf_hash(entry), proof, new, verifies).signed_by
    assert signed_by == (keys[0].key, keys[1].key)
    return new


def test_whoever_trusts_an_old_key_alone_learns_every_newer_one(ports: Ports) -> None:
    fill(ports, 3)
    firsts, seconds = Trust(ports.log.origin, ports.log.keys()), ports.log.second_keys()
    positions = []
    for size in (5, WIDTH, WIDTH + 9):
        positions.append(logs.replace_key(ports))
        fill(ports, size)
    for trusting in (firsts, Trust(ports.log.origin, seconds)):
        with pytest.raises(VerificationError):
            opened(ports.log.keep(1), trusting, verifies)
        for position in positions:
            trusting = learned(trusting, logs.replacement(ports, position))  # noqa: PLW2901
        assert opened(ports.log.keep(1), trusting, verifies).checkpoint.head.size == WIDTH + 9


def test_a_replacement_is_shown_also_when_the_commit_ended_with_a_later_entry(
    tmp_path: Path,
) -> None:
    with home(tmp_path) as ports:
        fill(ports, 4)
        old = trust(ports.log)

        def change(_: object) -> Position:
            first, second = logs.replace_key(ports), logs.replace_key(ports)  # they join
            directory.put_account(ports, AccountRequest(AccountId("ana")))
            logs.replacement(ports, second)  # of a change that is undone nothing is remembered
            assert second == first + 1
            return first

        with pytest.raises(ZeroDivisionError):
            ports.ledger.append(lambda _: (change(_), 1 / 0))
        with pytest.raises(InputError):
            logs.replacement(ports, Position(6))
        fill(ports, 5)
        first = ports.ledger.append(change)
        assert ports.ledger.head() == first + 2 == 8
        assert len(seen(ports.log).signed_by) == 1
        shown = [logs.replacement(ports, Position(first + n)) for n in (0, 1)]
    with home(tmp_path) as again:  # nothing of it was kept, and nothing needs to be
        for handed in (shown, [logs.replacement(again, Position(first + n)) for n in (0, 1)]):
            assert opened(
                again.log.checkpoint(), learned(learned(old, handed[0]), handed[1]), verifies
            )


def test_no_other_entry_is_shown_as_a_replacement(ports: Ports) -> None:
    fill(ports, 3)
    position = logs.replace_key(ports)
    for other in (-1, 0, 1, 2, position + 1):
        with pytest.raises(InputError):
            logs.replacement(ports, Position(other))
        with pytest.raises(InputError):
            ports.log.replacement(Position(other), 1)


def test_a_key_that_no_entry_put_into_force_signs_nothing(ports: Ports) -> None:
    fill(ports, 2)
    ports.log.new_keys()
    assert len(ports.log.keys()) == len(ports.log.second_keys()) == 1
    assert len(seen(ports.log).signed_by) == 1


def test_a_kept_checkpoint_is_signed_by_both_kinds_of_keys(ports: Ports) -> None:
    assert ports.log.kept() is None
    with pytest.raises(InputError):
        ports.log.keep(1)
    fill(ports, 3)
    (first,), (second,) = ports.log.keys(), ports.log.second_keys()
    note = ports.log.keep(1_790_000_000)
    assert note == ports.log.kept() == ports.log.keep(1_790_000_001)  # once for each tree
    both = Trust(ports.log.origin, (first, second))
    assert opened(note, both, verifies).signed_by == (first.key, second.key)
    with pytest.raises(VerificationError):
        opened(note.replace(b"\n3\n", b"\n4\n"), Trust(ports.log.origin, (second,)), verifies)
    position = logs.replace_key(ports)
    old, new = ports.log.second_keys()
    assert (old.last, new.first) == (position, position)
    everything = Trust(ports.log.origin, (*ports.log.keys(), old, new))
    assert len(opened(ports.log.keep(5), everything, verifies).signed_by) == 4
    fill(ports, 6)
    assert opened(ports.log.keep(6), everything, verifies).signed_by == (
        ports.log.keys()[-1].key,
        new.key,
    )


def test_cosignatures_are_kept_with_their_checkpoint(ports: Ports) -> None:
    fill(ports, 2)
    witness = SeedSigner("witness.example/w", SignatureType.ED25519_COSIGNATURE, b"w" * 32)
    trusting = Trust(ports.log.origin, ports.log.keys(), (witness.key,), 1)

    def cosign(note: bytes, seconds: int) -> None:
        checkpoint = opened(note, trust(ports.log), verifies).checkpoint
        ports.log.cosign(checkpoint.head.size, [signature(witness, checkpoint, seconds)])

    cosign(ports.log.keep(1), 10)
    cosign(ports.log.keep(1), 11)  # again: the newer one of that witness stands
    kept = ports.log.kept(cosigned=True)
    assert kept is not None
    assert opened(kept, trusting, verifies).witnessed == ((witness.key, 11),)
    fill(ports, 4)
    newer = ports.log.keep(12)
    assert ports.log.kept() == newer
    assert ports.log.kept(cosigned=True) == kept
    ports.log.cosign(3, [signature(witness, parse_checkpoint(parse_note(kept).text), 1)])  # no such
    cosign(newer, 13)
    assert ports.log.kept() == ports.log.kept(cosigned=True) != newer


def test_a_home_opened_again_signs_the_same_bytes(tmp_path: Path) -> None:
    with home(tmp_path) as first:
        fill(first, 2 * WIDTH + 9)
        logs.replace_key(first)
        note, proof = first.log.checkpoint(), first.log.proof(Position(5))
    with home(tmp_path) as second:
        assert second.log.checkpoint() == note
        assert second.log.proof(Position(5)) == proof
        fill(second, FAR + 700)
        check_consistency(
            opened(note, trust(second.log), verifies).checkpoint.head,
            seen(second.log).checkpoint.head,
            second.log.consistency(2 * WIDTH + 10, FAR + 700),
        )
        assert second.log.verify() == FAR + 700


def test_two_programs_over_one_home_grow_one_tree(tmp_path: Path) -> None:
    with home(tmp_path) as one, home(tmp_path) as other:
        for turn, ports in enumerate([one, other] * 6, 1):
            fill(ports, turn * 60)
            assert one.log.checkpoint() == other.log.checkpoint()
        fill(one, FAR * 2 + 800)  # further than the other's edge is caught up step by step
        fill(other, FAR * 2 + 801)
        assert one.log.checkpoint() == other.log.checkpoint()
        assert one.log.verify() == other.log.verify() == FAR * 2 + 801


def test_a_transaction_that_is_undone_leaves_nothing_in_the_tree(tmp_path: Path) -> None:
    with home(tmp_path) as ports:
        fill(ports, WIDTH - 1)
        note = ports.log.checkpoint()

        def refused(transaction: object) -> None:
            request = AccountRequest(AccountId("never"))
            directory.put_account(ports, request)  # joins the transaction; the tile would be full
            raise LockedByPlan("no")

        with pytest.raises(LockedByPlan):
            ports.ledger.append(refused)
        assert ports.log.checkpoint() == note
        fill(ports, WIDTH + 1)
        assert ports.log.verify() == WIDTH + 1


def test_what_was_undone_within_a_commit_is_not_in_the_tree(tmp_path: Path) -> None:
    """The tree takes entries from memory; a job that raises ends it, at any place among the others."""

    def put(name: str) -> None:
        directory.put_account(ports, AccountRequest(AccountId(name)))

    def refused(transaction: object) -> None:
        put("never")  # at the position that the next one gets
        raise LockedByPlan("no")

    def writes_nothing(transaction: object) -> None:
        raise LockedByPlan("no")

    def change(transaction: object) -> None:
        for name, failing in (("b", refused), ("c", writes_nothing), ("d", refused)):
            put(name)
            with pytest.raises(LockedByPlan):
                ports.ledger.append(failing)

    for last in ((), ("e",), ("e", "f")):
        folder = tmp_path / str(len(last))
        with home(folder) as ports:
            fill(ports, WIDTH - 2)
            ports.ledger.append(lambda _: (change(_), *map(put, last)))  # noqa: B023
            note = ports.log.checkpoint()
            assert ports.ledger.head() == WIDTH + 1 + len(last)
        with home(folder) as again:
            assert again.log.verify() == WIDTH + 1 + len(last)
            assert again.log.checkpoint() == note


def test_a_change_too_long_to_be_remembered_is_in_the_tree_all_the_same(tmp_path: Path) -> None:
    for far in (MOST_ADDED, MOST_ADDED + 1):
        with home(tmp_path / str(far)) as ports:
            fill(ports, 3)
            fill(ports, 3 + far)
            note = ports.log.checkpoint()
        with home(tmp_path / str(far)) as again:
            assert again.log.checkpoint() == note
            assert again.log.verify() == 3 + far


def test_an_entry_whose_head_could_not_be_signed_is_not_confirmed(tmp_path: Path) -> None:
    with home(tmp_path) as ports:
        fill(ports, 2)
    control, keys = Control(tmp_path / "control.db"), SubjectKeys(tmp_path / "keys.db")
    ledger = SqliteLedger(control, keys)
    broken = replace(ports_over(ledger), log=_Unsigned(control, LogKeys(keys)))
    with pytest.raises(StateUnknown, match="could not be signed"):
        directory.put_account(broken, AccountRequest(AccountId("ana")))
    control.close()
    keys.close()
    with home(tmp_path) as ports:  # it is on disk all the same, and in the tree from then on
        assert ports.ledger.head() == 3
        assert ports.log.verify() == 3
        assert seen(ports.log).checkpoint.head.size == 3


class _Unsigned(SqliteLog):
    """A log whose key cannot be used."""

    def after_commit(self) -> None:
        raise StorageError("the key cannot be used")


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 1", "tile 0/1"),
        ("DELETE FROM tiles WHERE number = 0", "tile 0/0"),
        ("UPDATE entries SET entry = zeroblob(length(entry)) WHERE position = 7", "tile 0/0"),
    ],
)
def test_tampering_with_the_tree_is_found(tmp_path: Path, tampering: str, told: str) -> None:
    with home(tmp_path) as ports:
        fill(ports, 3 * WIDTH - 20)
    tamper(tmp_path, tampering)
    with home(tmp_path) as ports, pytest.raises(VerificationError, match=told):
        ports.log.verify()


def test_another_entry_at_the_right_edge_gives_another_head(tmp_path: Path) -> None:
    with home(tmp_path) as ports:
        fill(ports, 3 * WIDTH - 20)
        handed_out = ports.log.checkpoint()
    tamper(tmp_path, "UPDATE entries SET entry = zeroblob(length(entry)) WHERE position = 700")
    with home(tmp_path) as ports:
        assert ports.log.checkpoint() != handed_out  # two heads of one size: the log is caught
        with pytest.raises(VerificationError, match="entry 700"):
            ports.ledger.verify()


def test_a_ledger_that_was_cut_off_under_a_running_program_is_refused(tmp_path: Path) -> None:
    with home(tmp_path) as ports:
        fill(ports, 5)
        tamper(tmp_path, "DELETE FROM entries WHERE position > 3")
        with pytest.raises(VerificationError, match="cut off"):
            logs.replace_key(ports)


def test_who_looked_at_the_entries_of_others_goes_on_from_there(tmp_path: Path) -> None:
    with home(tmp_path) as writer, home(tmp_path) as reader:
        fill(writer, FAR + 2 * WIDTH + 7)
        assert reader.log.checkpoint() == writer.log.checkpoint()
        tamper(tmp_path, "DELETE FROM tiles")  # whoever begins anew needs them
        for size in (0, 1, WIDTH + 20):
            fill(writer, FAR + 2 * WIDTH + 7 + size)
            assert reader.log.checkpoint() == writer.log.checkpoint()
            assert reader.log.checkpoint() == reader.log.checkpoint()


def test_what_a_change_that_is_undone_looked_at_is_not_remembered(tmp_path: Path) -> None:
    with home(tmp_path) as ports:
        fill(ports, 3)
    with home(tmp_path) as again:
        undone: list[bytes] = []

        def change(_: object) -> None:
            directory.put_account(again, AccountRequest(AccountId("ana")))
            undone.append(again.log.checkpoint())
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            again.ledger.append(change)
        assert seen(again.log).checkpoint.head == head_of(again, 3)
        fill(again, 4)
        assert seen(again.log).checkpoint.head == head_of(again, 4)
        assert undone != [again.log.checkpoint()]


def test_many_threads_that_look_never_see_the_log_shrink(tmp_path: Path) -> None:
    with home(tmp_path) as writer, home(tmp_path) as reader, ThreadPoolExecutor(4) as threads:
        fill(writer, 2)

        def look(_: int) -> list[int]:
            sizes = []
            for _ in range(60):
                durable = writer.ledger.head()
                sizes.append(seen(reader.log).checkpoint.head.size)
                assert sizes[-1] >= durable
            return sizes

        looks = [threads.submit(look, each) for each in range(4)]
        for size in range(3, 60):
            fill(writer, size)
        for each in looks:
            assert each.result() == sorted(each.result())


def tamper(folder: Path, statement: str) -> None:
    with apsw.Connection(str(folder / "control.db")) as connection:
        connection.execute(statement)


def test_the_body_of_a_replacement_names_the_key(ports: Ports) -> None:
    fill(ports, 1)
    record = ports.ledger.record(logs.replace_key(ports))
    assert record is not None
    assert json.loads(record.event)["key"] == str(ports.log.keys()[-1].key)


def test_the_root_at_every_size_is_that_of_the_entries_up_to_there(ports: Ports) -> None:
    fill(ports, 2 * WIDTH + 3)
    leaves = [leaf_hash(entry_at(ports, p)) for p in range(1, 2 * WIDTH + 4)]
    for size in (0, 1, 2, 255, 256, 257, 300, 511, 512, 515):
        assert ports.log.root(size) == RightEdge().grown(leaves[:size])[0].head().root
    for wrong in (-1, 2 * WIDTH + 4):
        with pytest.raises(InputError):
            ports.log.root(wrong)


def test_proofs_of_several_entries_are_in_one_tree(ports: Ports) -> None:
    fill(ports, 9)
    proofs = ports.log.proofs([Position(9), Position(1)])
    assert [proof.index for proof in proofs] == [8, 0]
    assert len({proof.checkpoint for proof in proofs}) == 1
    with pytest.raises(InputError):
        ports.log.proofs([Position(1), Position(10)])


def test_a_change_sees_the_root_over_its_own_entries(tmp_path: Path) -> None:
    """A build under the lock is decided at a position that is not committed yet."""
    for far in (5, FAR + 600):
        with home(tmp_path / str(far)) as ports:
            fill(ports, 3)
            seen: list[bytes] = []

            def change(_: object, far: int = far, seen: list[bytes] = seen) -> None:
                names = [AccountRequest(AccountId(f"b{n}")) for n in range(far)]
                directory.put_accounts(ports, names)  # joins the transaction
                seen += [ports.log.root(size) for size in (2, 3, 4, 3 + far)]

            ports.ledger.append(change)
            assert seen == [ports.log.root(size) for size in (2, 3, 4, 3 + far)]


def test_a_log_that_signed_nothing_yet_knows_earlier_roots(tmp_path: Path) -> None:
    with home(tmp_path) as first:
        fill(first, FAR + 600)
        expected = [first.log.root(size) for size in (3, 700, FAR + 600)]
    with home(tmp_path) as again:
        found: list[bytes] = []
        again.ledger.append(
            lambda _: found.extend(again.log.root(size) for size in (3, 700, FAR + 600))
        )
        assert found == expected

"""What every `Log` promises, held against the fake and the real store alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from withhold.domain.checkpoints import OpenedCheckpoint, Trust, opened
from withhold.domain.jws import unsigned
from withhold.domain.names import AccountId, Position
from withhold.domain.notes import SignatureType
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


def test_a_key_that_no_entry_put_into_force_signs_nothing(ports: Ports) -> None:
    fill(ports, 2)
    ports.log.new_key()
    assert len(ports.log.keys()) == 1
    assert len(seen(ports.log).signed_by) == 1


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


def tamper(folder: Path, statement: str) -> None:
    with apsw.Connection(str(folder / "control.db")) as connection:
        connection.execute(statement)


def test_the_body_of_a_replacement_names_the_key(ports: Ports) -> None:
    fill(ports, 1)
    record = ports.ledger.record(logs.replace_key(ports))
    assert record is not None
    assert json.loads(record.event)["key"] == str(ports.log.keys()[-1].key)

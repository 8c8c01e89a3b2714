"""The log over files: accidents, other programs, tampering, and what is not kept yet."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.contracts.log_homes import entry_at, fill, head_of, home, learned, seen, trust
from tests.fakes.ledger import ports_over
from withhold.adapters.signing import SeedSigner, verifies
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import FAR, SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.transaction import MOST_ADDED
from withhold.domain.checkpoints import (
    opened,
)
from withhold.domain.names import AccountId, Position
from withhold.domain.notes import SignatureType
from withhold.domain.proofs import check_proof
from withhold.domain.tiles import WIDTH, TileId
from withhold.domain.tree import check_consistency, leaf_hash
from withhold.errors import InputError, LockedByPlan, StateUnknown, StorageError, VerificationError
from withhold.services import directory
from withhold.services import log as logs
from withhold.services.directory import AccountRequest


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


def test_a_head_that_was_signed_beside_a_commit_that_failed_is_never_seen(tmp_path: Path) -> None:
    """It was signed for entries that are not there; others come to stand at their positions."""
    control, keys = Control(tmp_path / "control.db"), SubjectKeys(tmp_path / "keys.db")
    ledger, signed = SqliteLedger(control, keys), list[int]()

    class Told(SqliteLog):
        def before_commit(self, connection: apsw.Connection) -> Callable[[], Any] | None:
            job = super().before_commit(connection)
            return job and (lambda: (made := job(), signed.append(made.edge.size))[0])

    ports = replace(ports_over(ledger), log=Told(control, LogKeys(keys)))
    fill(ports, WIDTH - 1)
    before, note = seen(ports.log).checkpoint.head, ports.log.checkpoint()
    with pytest.raises(StateUnknown):
        control.run(lambda connection: connection.set_commit_hook(lambda: True))
    with pytest.raises(StateUnknown):
        directory.put_account(ports, AccountRequest(AccountId("never")))
    assert ports.log.checkpoint() == note
    control.run(lambda connection: connection.set_commit_hook(None))
    fill(ports, WIDTH + 1)
    assert signed == [1, WIDTH - 1, WIDTH, WIDTH + 1], "it was signed"
    after = seen(ports.log).checkpoint.head
    assert after == head_of(ports, WIDTH + 1)
    check_consistency(before, after, ports.log.consistency(WIDTH - 1, WIDTH + 1))
    assert ports.log.verify() == WIDTH + 1
    control.close()
    keys.close()


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


@pytest.mark.parametrize(
    "size", [WIDTH, 3 * WIDTH + 5, pytest.param(WIDTH * WIDTH, marks=pytest.mark.slow)]
)
def test_a_tile_that_is_not_kept_yet_follows_from_what_is_below_it(
    tmp_path: Path, size: int
) -> None:
    """A program that ends between the commit that filled a tile and the next leaves nothing to repair."""
    every = {(0, n) for n in range(size // WIDTH)} | {(1, n) for n in range(size // WIDTH**2)}
    last = TileId(0, size // WIDTH - 1)
    with home(tmp_path) as ports:
        fill(ports, size - 200)
        fill(ports, size)
    assert every - tiles_kept(tmp_path) >= {(0, last.number)}
    with home(tmp_path) as ports:
        assert ports.log.verify() == size
        hashes = ports.log.tile(last)
        assert hashes is not None
        leaves = range(size - size % WIDTH - WIDTH + 1, size - size % WIDTH + 1)
        assert hashes == b"".join(leaf_hash(entry_at(ports, position)) for position in leaves)
        for position in (1, last.number * WIDTH + 1):
            leaf = leaf_hash(entry_at(ports, position))
            check_proof(leaf, ports.log.proof(Position(position)), trust(ports.log), verifies)
        fill(ports, size + 1)
        assert ports.log.tile(last) == hashes
        assert ports.log.verify() == size + 1
    assert tiles_kept(tmp_path) == every


def tiles_kept(folder: Path) -> set[tuple[int, int]]:
    with apsw.Connection(str(folder / "control.db")) as connection:
        found = connection.execute("SELECT level, number FROM tiles")
        return {(level, number) for level, number in found}  # type: ignore[misc]


@pytest.mark.slow
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
    broken = replace(ports_over(ledger), log=SqliteLog(control, _Unusable(keys)))
    with pytest.raises(StateUnknown, match="could not be signed"):
        directory.put_account(broken, AccountRequest(AccountId("ana")))
    control.close()
    keys.close()
    with home(tmp_path) as ports:  # it is on disk all the same, and in the tree from then on
        assert ports.ledger.head() == 3
        assert ports.log.verify() == 3
        assert seen(ports.log).checkpoint.head.size == 3


class _Unusable(LogKeys):
    """Keys that are there and sign nothing."""

    def signers(self, connection: apsw.Connection, replaced: str, size: int) -> list[SeedSigner]:
        return [_Refusing(self.origin, SignatureType.ED25519, bytes(32))]


class _Refusing(SeedSigner):
    def sign(self, message: bytes, /) -> bytes:
        raise StorageError("the key cannot be used")


def test_a_key_replaced_in_a_commit_that_failed_is_not_the_one_of_the_next(tmp_path: Path) -> None:
    """There is one replacement in both, at the same position: only the key itself tells them apart."""
    control, keys = Control(tmp_path / "control.db"), SubjectKeys(tmp_path / "keys.db")
    ports = replace(ports_over(SqliteLedger(control, keys)), log=SqliteLog(control, LogKeys(keys)))
    fill(ports, 3)

    def aborting(connection: apsw.Connection) -> None:
        connection.set_commit_hook(lambda: True)

    with pytest.raises(StateUnknown):
        control.run(lambda connection: (aborting(connection), logs.replace_key(ports)))
    with pytest.raises(StateUnknown):
        control.run(lambda connection: connection.set_commit_hook(lambda: True))
    control.run(lambda connection: (connection.set_commit_hook(None), logs.replace_key(ports)))
    with home(tmp_path) as others:
        assert others.log.keys() == ports.log.keys()
        opened(ports.log.checkpoint(), trust(others.log), verifies)
    control.close()
    keys.close()


def test_a_commit_between_two_looks_leaves_an_earlier_root_as_it_was(tmp_path: Path) -> None:
    """The newest head is looked at before the snapshot: else it may stand on tiles that one has not."""
    control, keys = Control(tmp_path / "control.db"), SubjectKeys(tmp_path / "keys.db")

    class Busy(SqliteLog):
        sizes = iter((WIDTH + 4, WIDTH + 5))

        def _newest(self) -> Any:
            for size in self.sizes:  # another thread commits just now
                fill(ports, size)
            return super()._newest()

    ports = replace(ports_over(SqliteLedger(control, keys)), log=Busy(control, LogKeys(keys)))
    fill(ports, WIDTH - 6)
    assert ports.log.root(WIDTH - 7) == head_of(ports, WIDTH - 7).root
    assert ports.ledger.head() == WIDTH + 5
    control.close()
    keys.close()


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
        fill(ports, 3 * WIDTH - 19)  # tiles are kept with the next commit
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

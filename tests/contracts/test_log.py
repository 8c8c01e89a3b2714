"""What every `Log` promises, held against the fake and the real store alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contracts.log_homes import entry_at, fill, head_of, home, learned, seen, trust
from tests.fakes.ledger import MemoryLedger, ports_over
from tests.fakes.log import MemoryLog
from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain.checkpoints import (
    Trust,
    opened,
    parse_checkpoint,
    signature,
)
from withhold.domain.jws import unsigned
from withhold.domain.names import Position
from withhold.domain.notes import SignatureType, parse_note
from withhold.domain.proofs import check_proof, parse_proof
from withhold.domain.tiles import ENTRIES, WIDTH, RightEdge, TileId
from withhold.domain.tree import HASH_BYTES, check_consistency, leaf_hash
from withhold.errors import InputError, VerificationError
from withhold.ports import Ports
from withhold.services import log as logs


@pytest.fixture(params=["memory", "sqlite"])
def ports(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ports]:
    if request.param == "memory":
        ledger = MemoryLedger()
        yield replace(ports_over(ledger), log=MemoryLog(ledger))
        return
    with home(tmp_path) as real:
        yield real


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

"""Homes with a log, and looking at it as others do who have the public key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.fakes.ledger import POLICY, ports_over
from withhold.adapters.signing import verifies
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.domain.checkpoints import LogKey, OpenedCheckpoint, Trust, opened
from withhold.domain.ledger import PUBLIC, entry_bytes, public_commitment
from withhold.domain.names import AccountId, Position
from withhold.domain.notes import parse_key
from withhold.domain.proofs import check_proof, parse_proof
from withhold.domain.tiles import RightEdge
from withhold.domain.tree import TreeHead, leaf_hash
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

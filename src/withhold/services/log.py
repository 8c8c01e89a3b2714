"""The log that anyone can check: its newest checkpoint, and replacing its keys.

Source: design section 6. Not here: growing and signing, which go with every commit (`ports.Log`);
looking at it again, witnesses (`witnessing`).
"""

from __future__ import annotations

from typing import NamedTuple

from withhold.domain.canonical_json import Json
from withhold.domain.checkpoints import Checkpoint, Trust, parse_checkpoint
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import Position
from withhold.domain.notes import parse_note
from withhold.errors import InputError, VerificationError
from withhold.ports import Log, Ports
from withhold.services.events import recorded_at


class Replacement(NamedTuple):
    """What whoever trusts the keys before an entry needs to trust those after it.

    Attributes:
        position: of the entry that replaced the keys.
        event: the canonical bytes of its event, which names the new ones.
        proof: that the entry is the last of a tree which old and new keys signed (C2SP tlog-proof).
    """

    position: Position
    event: bytes
    proof: bytes


def trust(log: Log) -> Trust:
    """Return whom somebody believes who has all Ed25519 keys of a log."""
    return Trust(log.origin, log.keys())


def said(note: bytes) -> Checkpoint:
    """Return what a checkpoint says; its signatures are not looked at.

    Raises:
        VerificationError: it is not a checkpoint.
    """
    return parse_checkpoint(parse_note(note).text)


def newest(log: Log) -> bytes:
    """Return the newest checkpoint, with every signature that there is of it."""
    note, kept = log.checkpoint(), log.kept()
    return kept if kept is not None and said(kept).head == said(note).head else note


def replace_key(ports: Ports) -> Position:
    """Let new keys sign the log, from the entry on that says so; return its position.

    The tree that ends with that entry is signed by the old keys and the new. Receipts and checkpoints of
    before stay valid: the old keys may sign sizes up to that position.

    Raises:
        StorageError: the disk refused; the old keys sign as before.
        StateUnknown: whether the entry was recorded is not known; `Log.keys` tells.
    """
    key, second = ports.log.new_keys()
    body: dict[str, Json] = {"key": key, "second_key": second}
    event = Event(EventKind.LOG_KEY_REPLACED, None, body, ports.clock.now_ms())
    return ports.ledger.append(lambda transaction: transaction.add(event))


def replacement(ports: Ports, position: Position) -> Replacement:
    """Return what leads from the keys before an entry to those that it put into force.

    Anyone may ask for any number: no other entry is opened, nor is it told what stands there.

    Raises:
        InputError: no entry at that position replaced the keys.
        StorageError: a key cannot be used.
        VerificationError: the entry is not there.
    """
    if position not in {each.first for each in ports.log.keys()[1:]}:
        raise InputError(f"keys: the entry {position} replaced none; ask for the keys")
    record = ports.ledger.record(position)
    if record is None:
        raise VerificationError(f"entry {position} is missing", position=position)
    seconds = recorded_at(record) // 1000
    return Replacement(position, record.event, bytes(ports.log.replacement(position, seconds)))

"""Reading entries: the head, an entry with its body opened, and the key that opens it.

Sealed bodies are ``nonce || AES-256-GCM``; the key is derived from the subject's key, and the entry's
own bytes are the associated data, so that a body cannot be moved to another position. What an event
hides stands behind it in the same sealed bytes.
"""

from __future__ import annotations

import hmac
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from withhold.adapters.store.sqlite.codec import KIND_CODE, KINDS, effect_pairs
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.canonical_json import Json, canonical
from withhold.domain.erasure import Past
from withhold.domain.ledger import (
    CHAIN_START,
    NOTHING,
    PUBLIC,
    EventKind,
    broken,
    chained,
    entry_bytes,
    is_sealed,
    opening,
    public_commitment,
)
from withhold.domain.names import Position, SubjectNo
from withhold.errors import EntryErased, VerificationError, WithholdError
from withhold.ports import Record

NONCE_BYTES = 12
_BODY_KEY = b"withhold/body/v1"
_BESIDE = b"\n"  # canonical JSON has none


def head_of(connection: apsw.Connection) -> Position:
    """Return the position of the last entry of a snapshot, 0 when there is none."""
    return Position(connection.execute("SELECT max(position) FROM entries").get or 0)


def seal(key: bytes, body: bytes, entry: bytes, hidden: Mapping[str, Json] = NOTHING) -> bytes:
    """Return a body, and what it hides, encrypted under a subject's key and bound to its entry."""
    nonce = os.urandom(NONCE_BYTES)
    plain = body + _BESIDE + canonical(hidden) if hidden else body
    return nonce + AESGCM(_body_key(key)).encrypt(nonce, plain, entry)


def unsealed(
    key: bytes, sealed: bytes, entry: bytes, position: int
) -> tuple[bytes, Mapping[str, Json]]:
    """Return the body that `seal` sealed, and what it hides.

    Raises:
        VerificationError: body, entry or key is not the one it was sealed with.
    """
    try:
        plain = AESGCM(_body_key(key)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], entry)
    except (InvalidTag, ValueError):
        raise broken(position, "its sealed body does not open") from None
    body, _, beside = plain.partition(_BESIDE)
    return body, json.loads(beside) if beside else NOTHING


def _body_key(key: bytes) -> bytes:
    return hmac.digest(key, _BODY_KEY, "sha256")


def past_of(connection: apsw.Connection, position: int, kind: int, effects: bytes | None) -> Past:
    """Return what an entry did, by the columns beside its body.

    Raises:
        VerificationError: these columns are not of their form.
    """
    deleted: Any = ()
    if KINDS[kind] is EventKind.ROWS_DELETED:  # no other kind has any
        deleted = connection.execute(
            "SELECT product, ordinal FROM deleted_rows WHERE position = ? ORDER BY product, ordinal",
            (position,),
        ).fetchall()
    try:
        pairs = tuple(effect_pairs(effects))
    except struct.error:
        raise broken(position, "its effects are not of their form") from None
    return Past(Position(position), KINDS[kind].value, pairs, tuple(deleted))


def _unopened(connection: apsw.Connection, subject: int, position: int) -> WithholdError:
    """Return why an entry without a key cannot be opened."""
    if connection.execute("SELECT 1 FROM erased WHERE subject = ?", (subject,)).get:
        return EntryErased(f"entry {position}: its person was erased; it can no longer be opened")
    return broken(position, "the key that opens it is gone")


def is_erased(connection: apsw.Connection, keys: SubjectKeys, subject: int, position: int) -> bool:
    """Return whether an entry in its chain erases a subject, and the key at hand is that subject's.

    Deleting a key is for ever. So it is done only on the word of the entry itself, which has to stand
    behind the one before, and only if the key opens what opened the subject in this ledger: the keys of
    another home, or of another moment, have the same numbers and are somebody else's.
    """
    row = _row(connection, position)
    if row is None:
        return False
    kind, entry, chain, named, body, before = row
    holds = (
        (kind, named) == (KIND_CODE[EventKind.ACCOUNT_ERASED], subject)
        and entry == entry_bytes(Position(position), PUBLIC, public_commitment(body))
        and chain == chained(before, entry)
        and json.loads(body).get("erased") == subject
    )
    if not holds:
        return False
    key = keys.get(SubjectNo(subject))
    return key is None or _opens_first(connection, key, subject, position)


def _opens_first(connection: apsw.Connection, key: bytes, subject: int, position: int) -> bool:
    """Return whether a key opens the first of a subject's entries, of which the last one is given."""
    while True:
        row = connection.execute(
            "SELECT previous, entry, body FROM entries WHERE position = ? AND subject = ?",
            (position, subject),
        ).fetchone()
        if row is None or row[0] >= position:
            return False
        if not row[0]:
            break
        position = row[0]
    try:
        unsealed(key, row[2], row[1], position)
    except VerificationError:
        return False
    return True


def read_record(connection: apsw.Connection, keys: SubjectKeys, position: int) -> Record | None:
    """Read an entry and open its body, None when there is none at that position.

    Raises:
        EntryErased: its subject was erased.
        VerificationError: the body does not open, or its subject's key is gone.
    """
    keys.refresh()
    row = _row(connection, position)
    if row is None:
        return None
    kind, entry, chain, subject, sealed, before = row
    if not 0 <= kind < len(KINDS):
        raise broken(position, "its kind is none that this program knows")
    opened, body, hidden = None, sealed, NOTHING
    if is_sealed(entry):
        key = keys.get(SubjectNo(subject))
        if key is None:
            raise _unopened(connection, subject, position)
        body, hidden = unsealed(key, sealed, entry, position)
        opened = opening(key, json.loads(body)["sequence"])
    elif entry != entry_bytes(Position(position), PUBLIC, public_commitment(body)):
        raise broken(position, "its body is not what it commits to")
    return Record(Position(position), KINDS[kind], entry, before, chain, opened, body, hidden)


def _row(
    connection: apsw.Connection, position: int
) -> tuple[int, bytes, bytes, int, bytes, bytes] | None:
    """Return kind, entry, chain, subject, body and the chain before, None when there is no such entry."""
    row: Any = connection.execute(
        "SELECT kind, entry, chain, subject, body,"
        " coalesce((SELECT chain FROM entries WHERE position = ?1 - 1), ?2)"
        " FROM entries WHERE position = ?1",
        (position, CHAIN_START),
    ).fetchone()
    found: tuple[int, bytes, bytes, int, bytes, bytes] | None = row
    return found

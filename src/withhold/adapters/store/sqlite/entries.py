"""Reading entries: the head, an entry with its body opened, and the key that opens it.

Sealed bodies are ``nonce || AES-256-GCM``; the key is derived from the subject's key, and the entry's
own bytes are the associated data, so that a body cannot be moved to another position. What an event
hides stands behind it in the same sealed bytes.
"""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Mapping

import apsw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from withhold.adapters.store.sqlite.codec import KINDS, encode_body
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.ledger import CHAIN_START, NOTHING, Json, opening
from withhold.domain.names import Position, SubjectNo
from withhold.errors import VerificationError
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
    plain = body + _BESIDE + encode_body(hidden) if hidden else body
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
        raise VerificationError(f"entry {position}: its sealed body does not open") from None
    body, _, beside = plain.partition(_BESIDE)
    return body, json.loads(beside) if beside else NOTHING


def _body_key(key: bytes) -> bytes:
    return hmac.digest(key, _BODY_KEY, "sha256")


def read_record(connection: apsw.Connection, keys: SubjectKeys, position: int) -> Record | None:
    """Read an entry and open its body, None when there is none at that position.

    Raises:
        VerificationError: the body does not open, or its subject's key is gone.
    """
    row = connection.execute(
        "SELECT kind, entry, chain, subject, body FROM entries WHERE position = ?", (position,)
    ).fetchone()
    if row is None:
        return None
    kind, entry, chain, subject, sealed = row
    before = connection.execute("SELECT chain FROM entries WHERE position = ?", (position - 1,)).get
    opened, body, hidden = None, sealed, NOTHING
    if subject is not None:
        key = keys.get(SubjectNo(subject))
        if key is None:
            raise VerificationError(f"entry {position}: the key that opens it is gone")
        body, hidden = unsealed(key, sealed, entry, position)
        opened = opening(key, json.loads(body)["sequence"])
    return Record(
        Position(position), KINDS[kind], entry, before or CHAIN_START, chain, opened, body, hidden
    )

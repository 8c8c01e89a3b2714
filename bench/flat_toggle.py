"""The least that a durable toggle can cost here: what it has to do, in one flat function.

The same statements on a copy of the same database, the same hashes and ciphers, and the tree and the
signature beside the flush. Left out is all that makes a ledger of it: rules, events, queue, errors, answer.
What a toggle costs above this is ours to lower; what this costs above a bare insert is not.
"""

from __future__ import annotations

import hmac
import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.log_state import written_over
from withhold.adapters.store.sqlite.codec import decode_subject, encode_subject
from withhold.adapters.store.sqlite.control import connect
from withhold.adapters.store.sqlite.worker import Worker
from withhold.domain.tiles import RightEdge
from withhold.domain.tree import leaf_hashes
from withhold.domain.values import changed


def _grown(signer: Ed25519PrivateKey, edge: RightEdge, entry: bytes) -> RightEdge:
    edge, _ = edge.grown(leaf_hashes([entry]))
    signer.sign(edge.head().root)
    return edge


def flat_toggle(
    ledger: Path, accounts: Sequence[str], log_bytes: int, beside: Worker
) -> Callable[[], None]:
    """Return a function that does what a toggle of one of these accounts has to do.

    Args:
        ledger: a control database with entries of accounts; a copy is made beside it.
        accounts: their external ids.
        log_bytes: how much of its log is there already, to be written over.
        beside: the thread for tree and signature.
    """
    connection, source = connect(ledger.with_name("flat.db")), connect(ledger)
    with connection.backup("main", source, "main") as backup:
        backup.step()
    source.close()
    written_over(connection, log_bytes)
    connection.execute("PRAGMA cache_size=-65536")
    last = connection.execute(
        "SELECT * FROM entries WHERE subject IS NOT NULL ORDER BY position DESC LIMIT 1"
    ).fetchone()
    assert last is not None
    _, kind, entry, _, subject, previous, body, effects = last
    chance, key, signer = random.Random(4711), os.urandom(32), Ed25519PrivateKey.generate()
    edge = RightEdge()
    execute = connection.cursor().execute

    def toggle() -> None:
        nonlocal edge
        execute("BEGIN IMMEDIATE")
        row = execute(
            "SELECT position, chain FROM entries ORDER BY position DESC LIMIT 1"
        ).fetchone()
        position = row[0] + 1
        record = execute(
            "SELECT record FROM subjects WHERE id = ? AND kind = ?", (chance.choice(accounts), 0)
        ).get
        found = decode_subject(record)
        record = encode_subject(changed(found, sequence=found.sequence + 1, last=position))
        opened = hmac.digest(key, b"r", "sha256")
        commitment = sha256(opened + body).digest()
        nonce = os.urandom(12)
        sealed = AESGCM(hmac.digest(key, b"body", "sha256")).encrypt(nonce, body, commitment)
        chained = sha256(row[1] + entry).digest()
        execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (position, kind, entry, chained, subject, previous, sealed, effects),
        )
        execute("UPDATE subjects SET record = ? WHERE no = ?", (record, found.no))
        made = beside.begin(partial(_grown, signer, edge, entry))
        execute("COMMIT")
        edge = made.get()

    return toggle

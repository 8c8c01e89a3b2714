"""Checkpoints that are kept: signed with both keys of the log, and cosigned by witnesses.

A signature of Ed25519 is the same whoever makes it and can be made again at any time. One of ML-DSA-44 is
not, and a witness's cannot be made by us at all, so these are stored. The newest and the newest with a
cosignature stay: each covers every entry before it, so older ones say nothing more.

Source: C2SP tlog-checkpoint and tlog-cosignature. Not here: when one is kept (`services.witnessing`).
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from withhold.domain.notes import Signature, SignedNote, parse_note

_PRUNE = (
    "DELETE FROM checkpoints WHERE size NOT IN (SELECT max(size) FROM checkpoints"
    " UNION SELECT max(size) FROM checkpoints WHERE cosigned)"
)


def add(connection: apsw.Connection, size: int, note: bytes) -> bytes:
    """Keep a checkpoint, unless one of that size is kept; return what is kept of that size."""
    connection.execute("INSERT OR IGNORE INTO checkpoints(size, note) VALUES (?, ?)", (size, note))
    found = bytes(connection.execute("SELECT note FROM checkpoints WHERE size = ?", (size,)).get)
    connection.execute(_PRUNE)
    return found


def newest(connection: apsw.Connection, *, cosigned: bool) -> bytes | None:
    """Return the newest kept checkpoint, or the newest with a cosignature; None when there is none."""
    found = connection.execute(
        "SELECT note FROM checkpoints WHERE cosigned >= ? ORDER BY size DESC LIMIT 1", (cosigned,)
    ).get
    return None if found is None else bytes(found)


def cosign(connection: apsw.Connection, size: int, lines: Sequence[Signature]) -> None:
    """Add signature lines to a kept checkpoint; one of the same key takes the earlier one's place."""
    found = connection.execute("SELECT note FROM checkpoints WHERE size = ?", (size,)).get
    if found is None or not lines:
        return
    note = parse_note(bytes(found))
    fresh = {(line.name, line.key_id) for line in lines}
    others = [line for line in note.signatures if (line.name, line.key_id) not in fresh]
    whole = SignedNote(note.text, (*others, *lines))
    connection.execute(
        "UPDATE checkpoints SET note = ?, cosigned = 1 WHERE size = ?", (bytes(whole), size)
    )
    connection.execute(_PRUNE)

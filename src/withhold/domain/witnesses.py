"""Witnesses: others who have seen the log's head, and let it be shown shorter or otherwise no more.

    the log                                      a witness
      old SIZE                                     keeps the newest checkpoint it has seen
      consistency proof, a hash a line    ->       checks that the new one begins with it
      empty line, checkpoint                       answers with a signature line of its own

Whoever restores an old backup, or rewrites the ledger and signs it anew, has a log that does not follow
from what a witness saw. `follows` names the positions that are missing or may differ.

Source: C2SP tlog-witness and tlog-cosignature. Not here: asking witnesses (`adapters.witness`), and what
happens when the log does not follow (`services.witnessing`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from withhold.domain.checkpoints import MAX_SIZE, Checkpoint, checked
from withhold.domain.notes import NoteKey, Signature, Verifies, encoded, parse_signatures
from withhold.domain.tree import Proof, check_consistency
from withhold.errors import InputError, VerificationError

Prove = Callable[[int, int], Proof]
"""Returns the proof that the tree of the second size begins with that of the first."""

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class Missing(VerificationError):
    """A longer log was seen than the one that was shown; perhaps only than was read a moment ago.

    Attributes:
        seen: the size of the longer one.
    """

    def __init__(self, size: int, seen: int) -> None:
        self.seen = seen
        super().__init__(
            f"log: entries {size + 1} to {seen} are missing; a log of {seen} entries was seen before; "
            "restore a newer backup",
            position=size + 1,
        )


def follows(old: Checkpoint, new: Checkpoint, prove: Prove) -> None:
    """Check that a checkpoint of a log follows from one that was seen before.

    Raises:
        Missing: the one before is of a longer log.
        VerificationError: it does not; names the positions that are missing or may differ.
    """
    if old.origin != new.origin:
        raise VerificationError(
            f"log: {old.origin[:100]!r} was seen before, this one is {new.origin[:100]!r}; "
            "use the home that belongs to it"
        )
    if old.head.size > new.head.size:
        raise Missing(new.head.size, old.head.size)
    try:
        check_consistency(old.head, new.head, prove(old.head.size, new.head.size))
    except (VerificationError, InputError) as error:
        raise VerificationError(
            f"log: some entry from 1 to {old.head.size} is not the one that was seen before: {error}"
        ) from error


def forgot(had: int, seen: int) -> VerificationError:
    """Return the error that says that a witness lost what it had seen."""
    return VerificationError(
        f"witness: it had seen {had} entries and knows of {seen} now; put back what it kept, or name "
        "another witness"
    )


def request(old: int, proof: Proof, note: bytes) -> bytes:
    """Return the body of a request that shows a witness a checkpoint.

    Args:
        old: the size of the checkpoint that the witness has, 0 for none.
        proof: from that size to the checkpoint's.
        note: the signed checkpoint.
    """
    lines = (f"old {old}", *map(encoded, proof), "", "")
    return "\n".join(lines).encode() + note


def parse_size(body: bytes) -> int:
    """Return the size that a witness says it has seen.

    Raises:
        VerificationError: it is not a decimal number and a newline.
    """
    found = _SIZE.fullmatch(body)
    if found is None or int(found[1]) > MAX_SIZE:
        raise VerificationError("witness: expected the size it has seen, a decimal number")
    return int(found[1])


def cosignatures(
    text: str, key: NoteKey, checkpoint: Checkpoint, verifies: Verifies
) -> tuple[Signature, ...]:
    """Return the lines of a witness's answer that it made, each checked; lines of others are left out.

    Raises:
        VerificationError: a line of the witness does not hold, or it made none.
    """
    lines = tuple(
        line for line in parse_signatures(text) if (line.name, line.key_id) == (key.name, key.id)
    )
    if not lines or not all(checked(key, line, checkpoint, verifies) for line in lines):
        raise VerificationError("witness: expected a signature of its own, with a time, got none")
    return lines

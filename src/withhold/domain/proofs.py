"""Proofs that travel: that an entry is in the log, with the signed checkpoint it follows from.

    c2sp.org/tlog-proof@v1
    extra base64(…)            may be missing; nobody vouches for it
    index N                    of the leaf, from 0: the entry at position N + 1
    base64(hash)               the inclusion proof, from the bottom up, one line a hash
    empty line
    the checkpoint, as it was signed

Whoever has the entry, this text and the log's public key needs nothing else, and nobody's consent, to
check that the entry was there.

Source: C2SP tlog-proof, https://c2sp.org/tlog-proof.
Not here: what an entry says (`ledger`), who is believed (`checkpoints.Trust`).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from withhold.domain.checkpoints import MAX_SIZE, OpenedCheckpoint, Trust, opened
from withhold.domain.notes import MAX_NOTE_BYTES, Verifies, decoded, encoded
from withhold.domain.tree import HASH_BYTES, Proof, check_inclusion
from withhold.errors import VerificationError

MAX_HASHES = 63  # a tree of 2**63 leaves
MAX_EXTRA_BYTES = 64 * 1024
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_EXTRA = "extra "
_LENGTHS = frozenset({HASH_BYTES})


@dataclass(frozen=True, slots=True)
class LogProof:
    """That a leaf is in the tree of a checkpoint.

    Attributes:
        index: of the leaf, from 0.
        path: the inclusion proof.
        checkpoint: the signed checkpoint, byte for byte.
        extra: for the application; not vouched for by anybody. None when there is none.
    """

    index: int
    path: Proof
    checkpoint: bytes
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        """Return the proof as it is served and kept."""
        lines = [_FIRST]
        if self.extra is not None:
            lines.append(_EXTRA + encoded(self.extra))
        lines.append(f"index {self.index}")
        lines.extend(map(encoded, self.path))
        return "\n".join((*lines, "", "")).encode() + self.checkpoint


def parse_proof(data: bytes) -> LogProof:
    """Return a proof in its parts; nothing of it is checked yet.

    Raises:
        VerificationError: it is not one, or is over the caps of this module.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise VerificationError(f"proof: expected at most {MAX_PROOF_BYTES} bytes, got {len(data)}")
    top, divider, checkpoint = data.partition(b"\n\n")
    lines = top.decode(errors="replace").split("\n")
    if not divider or lines.pop(0) != _FIRST:
        raise VerificationError(f"proof: expected a first line {_FIRST} and an empty line")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = decoded(lines.pop(0).removeprefix(_EXTRA))
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None or int(index[1]) > MAX_SIZE:
        raise VerificationError("proof: expected a line with the index of the entry")
    if len(lines) > MAX_HASHES or (extra and len(extra) > MAX_EXTRA_BYTES):
        raise VerificationError("proof: it is longer than any proof of a tree")
    return LogProof(int(index[1]), _path(lines), checkpoint, extra)


def _path(lines: Sequence[str]) -> Proof:
    """Return the hashes of lines in base64, of which only one stands for each."""
    try:
        hashes = tuple(map(binascii.a2b_base64, lines))
    except ValueError:  # no base64, or not even ASCII
        hashes = ()
    again = b"".join(map(binascii.b2a_base64, hashes))
    if again != "\n".join((*lines, "")).encode() or not _LENGTHS.issuperset(map(len, hashes)):
        raise VerificationError(f"proof: expected hashes of {HASH_BYTES} bytes, one a line")
    return hashes


def check_proof(leaf: bytes, proof: LogProof, trust: Trust, verifies: Verifies) -> OpenedCheckpoint:
    """Check that a leaf is in a log, and return the checkpoint that says so.

    Args:
        leaf: the hash of the entry, computed by whoever checks (`tree.leaf_hash`).
        proof: as parsed.
        trust: whom the caller believes.
        verifies: checks one signature.

    Raises:
        VerificationError: it does not follow; the message says what.
        InputError: two of the trusted keys cannot be told apart.
    """
    # 1. the leaf hash is the caller's; 2. origin and the log's signature; 3. witnesses
    found = opened(proof.checkpoint, trust, verifies)
    # 4. the leaf is under the root that was signed
    check_inclusion(leaf, proof.index, proof.path, found.checkpoint.head)
    return found

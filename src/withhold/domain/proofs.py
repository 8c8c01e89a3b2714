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
from dataclasses import dataclass

from withhold.domain.checkpoints import MAX_SIZE, OpenedCheckpoint, Trust, opened
from withhold.domain.notes import MAX_NOTE_BYTES, Verifies, decoded, encoded
from withhold.domain.tree import HASH_BYTES, Proof, check_inclusion
from withhold.errors import VerificationError

MAX_HASHES = 63  # a tree of 2**63 leaves
MAX_EXTRA_BYTES = 64 * 1024
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 2 * MAX_EXTRA_BYTES

_FIRST = b"c2sp.org/tlog-proof@v1"
_INDEX = re.compile(rb"index (0|[1-9][0-9]{0,18})(?=\n|\Z)")
_EXTRA = b"extra "
# in the last letter two bits are no part of the hash, and zero in the one form of base64
_HASHES = re.compile(rb"(?:\n[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)*")


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
            lines.append(_EXTRA + encoded(self.extra).encode())
        lines.append(b"index %d" % self.index)
        lines.extend(encoded(each).encode() for each in self.path)
        return b"\n".join((*lines, b"", self.checkpoint))


def parse_proof(data: bytes) -> LogProof:
    """Return a proof in its parts; nothing of it is checked yet.

    Raises:
        VerificationError: it is not one, or is over the caps of this module.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise VerificationError(f"proof: expected at most {MAX_PROOF_BYTES} bytes, got {len(data)}")
    top, divider, checkpoint = data.partition(b"\n\n")
    first, _, rest = top.partition(b"\n")
    if not divider or first != _FIRST:
        raise VerificationError(f"proof: expected a first line {_FIRST.decode()} and an empty line")
    extra = None
    if rest.startswith(_EXTRA):
        line, _, rest = rest.partition(b"\n")
        extra = decoded(line.removeprefix(_EXTRA).decode(errors="replace"))
    found = _INDEX.match(rest)
    index = int(found[1]) if found else MAX_SIZE + 1
    if not found or index > MAX_SIZE:
        raise VerificationError("proof: expected a line with the index of the entry")
    hashes = rest[found.end() :]
    if hashes.count(b"\n") > MAX_HASHES or (extra and len(extra) > MAX_EXTRA_BYTES):
        raise VerificationError("proof: it is longer than any proof of a tree")
    if not _HASHES.fullmatch(hashes):
        raise VerificationError(f"proof: expected hashes of {HASH_BYTES} bytes, one a line")
    path = tuple(map(binascii.a2b_base64, hashes.split()))
    return LogProof(index, path, checkpoint, extra)


def check_proof(leaf: bytes, proof: LogProof, trust: Trust, verifies: Verifies) -> OpenedCheckpoint:
    """Check that a leaf is in a log, and return the checkpoint that says so.

    Args:
        leaf: the hash of the entry, computed by whoever checks (`tree.leaf_hash`).
        proof: as parsed.
        trust: whom the caller believes.
        verifies: checks one signature.

    Raises:
        VerificationError: it does not follow; the message says what.
    """
    # 1. the leaf hash is the caller's; 2. origin and the log's signature; 3. witnesses
    found = opened(proof.checkpoint, trust, verifies)
    # 4. the leaf is under the root that was signed
    check_inclusion(leaf, proof.index, proof.path, found.checkpoint.head)
    return found

"""The prefix tree of a dataset: who is in it, and a proof for whoever is not.

    u          HMAC-SHA256(subject key, "u")            one secret for each subject
    tag        SHA-256("withhold/tag/v1\\0" || u || dataset)        NAME@VERSION:MANIFEST in UTF-8
    U          SHA-256("withhold/tag-secret/v1\\0" || u)      in the entry that opened the account
    root       of no tags    32 zero bytes
               of one        SHA-256(0x00 || tag)
               of more       SHA-256(0x01 || root of those whose next bit is 0 || root of the others)

Bits are read from the first byte on, the highest first. So a tag has one place, below the root of the
longest prefix that it shares with another tag, and one path of bits that leads there: whatever bytes a
root was made from, along that path it shows one thing, and *present* and *absent* cannot both be
proved. (Leaves sorted side by side do not have this: a tree sorted wrongly proves an absence that is
not so.)

    proof      u8(kind) || u16(depth) || bits, one for each level || the siblings that are not empty
               || the other tag, for kind 1
    kind       0 absent, the place is empty; 1 absent, another tag stands there; 2 present

Bit i, the highest of the first byte first, says that the sibling at level i + 1 is not empty; siblings
stand from the root down; unused bits are 0. Integers are big-endian.

MANIFEST is the hash of the manifest in hexadecimal, so that two datasets never share a tag, even if a
restored ledger gives a name and a version again.

What it does not prove: that the tags are those of the people whose rows the dataset has. That takes an
auditor with the manifest and the keys.

Source: design section 6. Not here: building a tree and making proofs (`prefix_tree`).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256

from withhold.errors import VerificationError

TAG_BYTES = 32
TAG_BITS = 256
EMPTY = bytes(32)
LEAF, NODE = b"\x00", b"\x01"  # what is hashed before a tag, and before two roots
_TAG, _SECRET = b"withhold/tag/v1\0", b"withhold/tag-secret/v1\0"


def tag_secret(subject_key: bytes) -> bytes:
    """Return ``u``: whoever knows it can tell which tags are the subject's."""
    return hmac.digest(subject_key, b"u", "sha256")


def secret_commitment(secret: bytes) -> bytes:
    """Return ``U``, which fixes a subject's ``u`` long before anybody asks for a proof."""
    return sha256(_SECRET + secret).digest()


def dataset_id(reference: str, manifest: str) -> str:
    """Return what tags of a version are made for.

    Args:
        reference: ``NAME@VERSION``.
        manifest: the hash of its manifest, in hexadecimal.
    """
    return f"{reference}:{manifest}"


def tag_of(secret: bytes, dataset: str) -> bytes:
    """Return the tag of the subject with that ``u`` in a dataset, as `dataset_id` names it."""
    return sha256(_TAG + secret + dataset.encode()).digest()


def leaf_root(tag: bytes) -> bytes:
    """Return the root over one tag alone."""
    return sha256(LEAF + tag).digest()


def node_root(left: bytes, right: bytes) -> bytes:
    """Return the root over two parts that together have more than one tag."""
    return sha256(NODE + left + right).digest()


class Kind(IntEnum):
    """What a proof shows in the place of a tag; the value is its code in the encoding."""

    ABSENT_EMPTY = 0
    ABSENT_OTHER = 1
    PRESENT = 2


@dataclass(frozen=True, slots=True)
class TagProof:
    """What stands in the place of a tag, and all beside the way to it.

    Attributes:
        kind: what stands there.
        siblings: from the root down, one for each level; `EMPTY` where no tag is.
        other: the tag that stands there instead, None for the other kinds.
    """

    kind: Kind
    siblings: tuple[bytes, ...]
    other: bytes | None = None

    def __bytes__(self) -> bytes:
        """Return the proof as it is served and kept."""
        depth = len(self.siblings)
        there = [sibling for sibling in self.siblings if sibling != EMPTY]
        marks = sum(
            _mark(level, depth) for level, sibling in enumerate(self.siblings) if sibling != EMPTY
        )
        return b"".join(
            (
                bytes((self.kind,)),
                depth.to_bytes(2, "big"),
                marks.to_bytes(_mark_bytes(depth), "big"),
                *there,
                self.other or b"",
            )
        )


def _mark_bytes(depth: int) -> int:
    return (depth + 7) // 8


def _mark(level: int, depth: int) -> int:
    """Return the bit that says whether there is a sibling at a level, in the number of all bits."""
    return 1 << 8 * _mark_bytes(depth) - 1 - level


def parse_tag_proof(data: bytes) -> TagProof:
    """Return a proof in its parts; nothing of it is checked yet.

    Raises:
        VerificationError: it is not one, or not in its one form.
    """
    depth = int.from_bytes(data[1:3], "big")
    end = 3 + _mark_bytes(depth)
    if len(data) < end or data[0] not in set(Kind):
        raise VerificationError("absence proof: expected a kind, a depth and its levels")
    marks = int.from_bytes(data[3:end], "big")
    siblings = []
    for level in range(depth):
        is_there = marks & _mark(level, depth)
        siblings.append(data[end : end + TAG_BYTES] if is_there else EMPTY)
        end += TAG_BYTES if is_there else 0
    kind, rest = Kind(data[0]), data[end:]
    proof = TagProof(kind, tuple(siblings), rest if kind is Kind.ABSENT_OTHER else None)
    _check_form(proof)
    if bytes(proof) != data:
        raise VerificationError("absence proof: expected its one form, and nothing after it")
    return proof


def check_present(tag: bytes, proof: TagProof, root: bytes) -> None:
    """Check that a tag is in the tree with that root.

    Raises:
        VerificationError: it does not follow; the message gives what was expected and what was found.
    """
    # 1. the proof claims it
    _expect(proof.kind is Kind.PRESENT, "a proof of presence", proof.kind.name)
    _check(tag, proof, root)


def check_absent(tag: bytes, proof: TagProof, root: bytes) -> None:
    """Check that a tag is not in the tree with that root.

    Raises:
        VerificationError: it does not follow; the message gives what was expected and what was found.
    """
    # 1. the proof claims it
    _expect(proof.kind is not Kind.PRESENT, "a proof of absence", proof.kind.name)
    if proof.other is not None:
        # the other tag is another one, and has its place where this one has
        _expect(proof.other != tag, "another tag in its place", "the tag itself")
        depth = len(proof.siblings)
        apart = int.from_bytes(tag, "big") ^ int.from_bytes(proof.other, "big")
        shared = TAG_BITS - apart.bit_length()
        _expect(shared >= depth, f"another tag that shares {depth} bits", str(shared))
    _check(tag, proof, root)


def _check(tag: bytes, proof: TagProof, root: bytes) -> None:
    # 2. everything has its form, so that no two proofs hash the same bytes
    _check_form(proof)
    for each in (tag, root):
        _expect(len(each) == TAG_BYTES, f"{TAG_BYTES} bytes", str(len(each)))
    # 3. what stands there, hashed with what is beside the way, gives the root
    got = climbed(tag, proof)
    _expect(hmac.compare_digest(got, root), f"the root {root.hex()}", got.hex())


def _check_form(proof: TagProof) -> None:
    """Check all that holds of a proof by itself."""
    others = () if proof.other is None else (proof.other,)
    lengths = {len(each) for each in (*proof.siblings, *others)}
    _expect(lengths <= {TAG_BYTES}, f"{TAG_BYTES} bytes each", str(sorted(lengths)))
    _expect((proof.other is not None) == (proof.kind is Kind.ABSENT_OTHER), "one kind", "two")
    depth = len(proof.siblings)
    _expect(depth <= TAG_BITS, f"at most {TAG_BITS} levels", str(depth))
    # the way ends where something is beside it: one tag alone has its place further up
    _expect(not depth or proof.siblings[-1] != EMPTY, "a node beside the end of the way", "none")


def climbed(tag: bytes, proof: TagProof) -> bytes:
    """Return the root that follows from a proof along the bits of a tag."""
    node = EMPTY
    if proof.kind is not Kind.ABSENT_EMPTY:
        node = leaf_root(tag if proof.other is None else proof.other)
    value = int.from_bytes(tag, "big")
    for level in reversed(range(len(proof.siblings))):
        is_right = value >> TAG_BITS - 1 - level & 1
        sibling = proof.siblings[level]
        node = node_root(sibling, node) if is_right else node_root(node, sibling)
    return node


def _expect(holds: bool, expected: str, got: str) -> None:
    if not holds:
        raise VerificationError(f"absence proof: expected {expected}, got {got}")

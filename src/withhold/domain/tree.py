"""The Merkle tree over the ledger's entries: its root, its proofs, and checking them.

    leaf    SHA-256(0x00 || entry)           the entry at position p is leaf p - 1
    node    SHA-256(0x01 || left || right)
    root    of no leaves: SHA-256("");  of one: the leaf;  of n: node of the first k and of the rest,
            where k is the largest power of two below n

The root of ``2^level`` leaves that start at ``index * 2^level`` is the node (level, index). Once all its
leaves exist it never changes, so it can be stored; every other hash follows from such nodes. A tree
needs at most 64 of them to grow: its peaks, one for each bit of its size.

Invariants: a frontier is a value, so that a transaction that is undone leaves nothing behind; a proof
is checked by the steps of the specification, without any hash reader.

Source: RFC 6962, section 2.1; the steps of checking are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2
(of an inclusion proof, how many hashes the walk takes is worked out before it).
Not here: where nodes are stored (`tiles`), who signs a root (`checkpoints`).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from withhold.errors import InputError, VerificationError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
_LENGTHS = frozenset({HASH_BYTES})
_LEAF, _NODE = b"\x00", b"\x01"

HashAt = Callable[[int, int], bytes]
"""Returns the stored node (level, index): the root of the 2^level leaves from ``index * 2^level`` on."""

Proof = tuple[bytes, ...]
"""Hashes from the bottom up, 32 bytes each."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf with this entry in it."""
    return sha256(_LEAF + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """Return the hash of a leaf for each entry."""
    return [sha256(_LEAF + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two others."""
    return sha256(_NODE + left + right).digest()


def paired(row: Sequence[bytes]) -> list[bytes]:
    """Return the nodes over each two neighbours of a row; a last one without a neighbour is left out."""
    each = iter(row)
    return [sha256(_NODE + left + right).digest() for left, right in zip(each, each, strict=False)]


class TreeHead(NamedTuple):
    """What one tree is: two trees with the same head have the same entries.

    Attributes:
        size: number of leaves, which is the position of the last entry.
        root: 32 bytes.
    """

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that has to be known of a tree to append to it.

    Attributes:
        size: number of leaves.
        peaks: the nodes the tree consists of, one for each bit of its size, the largest first.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def head(self) -> TreeHead:
        """Return the head of the tree; costs a hash for each peak but one."""
        return TreeHead(self.size, folded(self.peaks))

    def grown(self, leaves: Sequence[bytes]) -> tuple[Frontier, list[list[bytes]]]:
        """Return the frontier after more leaves, and the nodes that came to be.

        Args:
            leaves: leaf hashes, in order.

        Returns:
            The new frontier, and by level the nodes that are complete now and were not before, in
            order; level 0 is the leaves. Each node is hashed once.
        """
        waiting, rest = list(self.peaks), []
        row, level = list(leaves), 0
        nodes = []
        while row:
            nodes.append(row)
            has_left = self.size >> level & 1
            whole = [waiting.pop(), *row] if has_left else row
            if len(whole) & 1:
                rest.append(whole[-1])
            row, level = paired(whole), level + 1
        return Frontier(self.size + len(leaves), (*waiting, *reversed(rest))), nodes


def folded(peaks: Sequence[bytes]) -> bytes:
    """Return the root over peaks, the largest first; of none, the root of the empty tree."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


# --- making proofs ------------------------------------------------------------------------------------


def root_at(size: int, hash_at: HashAt) -> bytes:
    """Return the root of the first ``size`` leaves."""
    return _range_root(0, size, hash_at)


def inclusion_proof(index: int, size: int, hash_at: HashAt) -> Proof:
    """Return the proof that a leaf is in the tree of a size: at most one hash for each level.

    Args:
        index: of the leaf, from 0.
        size: of the tree, above ``index``.
        hash_at: returns nodes that are complete at that size; it is asked for no others.

    Raises:
        InputError: there is no such leaf in that tree.
    """
    if not 0 <= index < size:
        raise InputError(f"proof: no leaf {index} in a tree of {size}; ask for one that is there")
    low, high, proof = 0, size, []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_range_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(_range_root(low, middle, hash_at))
            low = middle
    return tuple(reversed(proof))


def consistency_proof(old: int, new: int, hash_at: HashAt) -> Proof:
    """Return the proof that the tree of size ``new`` begins with that of size ``old``.

    It is empty when nothing is to be proved: for equal sizes, and from the empty tree.

    Args:
        old: a size.
        new: a size not below it.
        hash_at: returns nodes that are complete at ``new``; it is asked for no others.

    Raises:
        InputError: the tree was never as large as ``old``.
    """
    if not 0 <= old <= new:
        raise InputError(f"proof: a tree of {new} never had {old} leaves; name sizes it had")
    if old == 0:
        return ()
    low, high, proof = 0, new, []
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range_root(middle, high, hash_at))
            high = middle
        else:
            proof.append(_range_root(low, middle, hash_at))
            low = middle
    if low:  # the old tree is not itself a node of the new one: its last part must be given
        proof.append(_range_root(low, high, hash_at))
    return tuple(reversed(proof))


def _split(size: int) -> int:
    """Return the largest power of two below a size of at least 2."""
    return 1 << (size - 1).bit_length() - 1


def _range_root(first: int, last: int, hash_at: HashAt) -> bytes:
    """Return the root over leaves, where ``first`` is a multiple of a power of two not below the length."""
    return folded([hash_at(level, index) for level, index in _peaks_of(first, last)])


def _peaks_of(first: int, last: int) -> Iterator[tuple[int, int]]:
    while first < last:
        level = (last - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


# --- checking proofs ----------------------------------------------------------------------------------


def check_inclusion(leaf: bytes, index: int, proof: Proof, head: TreeHead) -> None:
    """Check that a leaf stands at an index of the tree with that head.

    Raises:
        VerificationError: it does not follow; the message gives what was expected and what was found.
    """
    _check_form((leaf, head.root, *proof))
    # 1. the index is inside the tree
    if not 0 <= index < head.size:
        raise _unexpected(f"an index from 0 to {head.size - 1}", index)
    # 2. fn walks from the leaf, sn from the last leaf; below where they meet each level has a hash,
    # above it each level at which both are right children (the others have no neighbour there)
    fn, meet = index, (index ^ (head.size - 1)).bit_length()
    needed = meet + (index >> meet).bit_count()
    # 4a. the root is reached exactly where the proof ends
    if len(proof) > needed:
        raise _too_long(needed, proof)
    if len(proof) < needed:
        raise _unexpected(f"an inclusion proof of more than {len(proof)} hashes", len(proof))
    r = leaf  # 3. the hash so far
    for p in proof[:meet]:
        r = sha256(_NODE + p + r if fn & 1 else _NODE + r + p).digest()
        fn >>= 1  # 4c. one level up
    for p in proof[meet:]:  # 4b. a right child, or the last of its level: p is to the left
        r = sha256(_NODE + p + r).digest()
    # 5. the root is the one of the head
    _expect_root("inclusion proof", head.root, r)


def check_consistency(old: TreeHead, new: TreeHead, proof: Proof) -> None:
    """Check that a newer tree begins with an older one: that nothing was altered or taken out.

    Raises:
        VerificationError: it does not follow; the message gives what was expected and what was found.
    """
    _check_form((old.root, new.root, *proof))
    _expect(0 <= old.size <= new.size, f"an old size from 0 to {new.size}", old.size)
    if old.size in {0, new.size}:
        # nothing to prove: the empty tree begins every tree, and each tree begins itself
        expected = EMPTY_ROOT if old.size == 0 else new.root
        _expect_root("older tree", expected, old.root)
        _expect(not proof, "an empty consistency proof", len(proof))
        return
    # 1. the proof is not empty
    _expect(bool(proof), "a consistency proof", 0)
    # 2. a tree that is one whole node is not given in its own proof
    path = proof if old.size & (old.size - 1) else (old.root, *proof)
    # 3. fn walks from the last old leaf, sn from the last new one
    fn, sn = old.size - 1, new.size - 1
    # 4. to the first node that the old tree does not have whole together with its neighbour
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    # 5. fr becomes the old root, sr the new one
    fr = sr = path[0]
    for number, c in enumerate(path[1:]):
        if sn == 0:  # 6a. both roots were reached before the proof ended
            raise _too_long(number + len(proof) - len(path) + 1, proof)
        if fn & 1 or fn == sn:  # 6b. c is to the left, and in both trees
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)  # c is to the right, and only in the new tree
        fn, sn = fn >> 1, sn >> 1  # 6c.
    # 7. both roots follow, and nothing is left to climb
    _expect(sn == 0, f"a consistency proof of more than {len(proof)} hashes", len(proof))
    _expect_root("older tree", old.root, fr)
    _expect_root("newer tree", new.root, sr)


def _check_form(hashes: Proof) -> None:
    """Check lengths, so that no two proofs mean the same bytes."""
    if not _LENGTHS.issuperset(map(len, hashes)):
        wrong = next(len(each) for each in hashes if len(each) != HASH_BYTES)
        raise _unexpected(f"hashes of {HASH_BYTES} bytes", wrong)


def _too_long(needed: int, proof: Proof) -> VerificationError:
    return VerificationError(f"proof: expected {needed} hashes, got {len(proof)}")


def _expect(holds: bool, expected: str, got: int) -> None:
    if not holds:
        raise _unexpected(expected, got)


def _unexpected(expected: str, got: int) -> VerificationError:
    return VerificationError(f"proof: expected {expected}, got {got}")


def _expect_root(which: str, expected: bytes, got: bytes) -> None:
    if not hmac.compare_digest(expected, got):
        raise VerificationError(
            f"{which}: expected the root {expected.hex()}, got {got.hex()}; "
            "the entry or the tree is not the one that was signed"
        )

"""Building the prefix tree of a dataset, and making proofs from it.

The tags are sorted once and kept, end to end; the tree over them is hashed in one pass from left to
right, with nothing kept but its crown, the top levels. A proof takes what it can from the crown and hashes
some dozens of tags for the rest.

Invariant: a proof that does not hold is never handed out.

Source: design section 6; the tree is that of `absence`.
Not here: where sorted tags are kept.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Protocol, TypeVar

from withhold.domain.absence import (
    EMPTY,
    LEAF,
    NODE,
    TAG_BITS,
    TAG_BYTES,
    Kind,
    TagProof,
    climbed,
    node_root,
)
from withhold.errors import VerificationError

T_co = TypeVar("T_co", covariant=True)

_BUCKET = 64  # tags below one node at the foot of the crown, about: what a proof hashes again
MOST_LEVELS = 16  # in a crown: 131,071 nodes, 4 MB


class SortedTags(Protocol):
    """Tags end to end, ascending: bytes, or a mapped file."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes: ...


class Numbered(Protocol[T_co]):
    """Values by number: a tuple, or a mapped file. Of the starts, number -1 is the last."""

    def __getitem__(self, at: int, /) -> T_co: ...


@dataclass(frozen=True, slots=True)
class Crown:
    """The top of a prefix tree: enough to prove any tag by hashing some dozens of others.

    Attributes:
        depth: how many levels below the root are in it.
        starts: for each prefix of ``depth`` bits where its tags start; after the last, how many tags.
        levels: for each depth from 0 on, the root below each prefix; `EMPTY` where there is no tag.
    """

    depth: int
    starts: Numbered[int]
    levels: Numbered[Numbered[bytes]]

    @property
    def root(self) -> bytes:
        """The root of the tree, which a dataset's entry holds."""
        return self.levels[0][0]


def sorted_tags(tags: Iterable[bytes]) -> bytes:
    """Return tags end to end, ascending, as everything here takes them.

    They are parted by their first byte before, so that each sort stays in the processor's cache and
    ten million take no more memory than their bytes twice.
    """
    parts = [bytearray() for _ in range(256)]
    for tag in tags:
        parts[tag[0]] += tag
    return b"".join(
        b"".join(sorted(_each(bytes(part), 0, len(part) // TAG_BYTES))) for part in parts
    )


def crown_of(tags: SortedTags, depth: int | None = None) -> Crown:
    """Build the prefix tree of a dataset.

    Args:
        tags: ascending, each once.
        depth: levels to keep; chosen by the number of tags when None.

    Raises:
        VerificationError: the tags are not tags, or not ascending.
    """
    if len(tags) % TAG_BYTES:
        raise VerificationError(f"tags: expected {TAG_BYTES} bytes each, got {len(tags)} in all")
    count = len(tags) // TAG_BYTES
    if depth is None:
        depth = min(MOST_LEVELS, max(0, (count // _BUCKET).bit_length() - 1))
    nodes, counts = [EMPTY] * (1 << depth), [0] * (1 << depth)
    for prefix, below, root in _roots(_each(tags, 0, count), depth):
        nodes[prefix], counts[prefix] = root, below
    starts = [0]
    for below in counts:
        starts.append(starts[-1] + below)
    levels = [tuple(nodes)]
    for _ in range(depth):
        nodes, counts = _above(nodes, counts)
        levels.append(tuple(nodes))
    return Crown(depth, tuple(starts), tuple(reversed(levels)))


def _each(tags: SortedTags, first: int, last: int) -> Iterator[bytes]:
    return (
        tags[at : at + TAG_BYTES] for at in range(first * TAG_BYTES, last * TAG_BYTES, TAG_BYTES)
    )


def _above(nodes: Sequence[bytes], counts: Sequence[int]) -> tuple[list[bytes], list[int]]:
    """Return the level above one: a node over two, or where there is one tag alone, its leaf."""
    pairs = [slice(at, at + 2) for at in range(0, len(nodes), 2)]
    sums = [sum(counts[pair]) for pair in pairs]
    return [
        node_root(*nodes[pair]) if below > 1 else max(nodes[pair])  # EMPTY is the lowest
        for pair, below in zip(pairs, sums, strict=True)
    ], sums


def _roots(tags: Iterable[bytes], depth: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield for each prefix of ``depth`` bits that tags have: it, how many, and the root below it.

    One pass from left to right. What waits is the left side of nodes whose right side comes later,
    each with the number of bits that both sides share; nothing waits where a prefix begins.
    """
    each = iter(tags)
    tag = next(each, None)
    if tag is None:
        return
    waiting: list[tuple[int, bytes]] = []
    value, count = int.from_bytes(tag, "big"), 1
    before = -1  # how many bits the tag before shares
    # nothing is called here that need not be: this loop is what a build costs
    for after in chain(each, (b"",)):
        following = int.from_bytes(after, "big")
        if following > value:
            shared = TAG_BITS - (value ^ following).bit_length()
        elif not after:
            shared = -1
        else:
            raise VerificationError("tags: expected them ascending, each once; build them again")
        deepest = before if before > shared else shared  # noqa: FURB136 (see above)
        node, at = sha256(LEAF + tag).digest(), deepest + 1
        while waiting and waiting[-1][0] > shared:
            level, left = waiting.pop()
            if at > level + 1:
                node = _lifted(node, value, at, level + 1)
            node, at = sha256(NODE + left + node).digest(), level
        if shared >= depth:
            if at > shared + 1:
                node = _lifted(node, value, at, shared + 1)
            waiting.append((shared, node))
            count += 1
        else:  # the last of its prefix; one that is alone stands as its leaf, wherever that is
            yield value >> TAG_BITS - depth, count, _lifted(node, value, at, depth)
            count = 1
        tag, value, before = after, following, shared


def _lifted(node: bytes, value: int, at: int, to: int) -> bytes:
    """Return a node further up, over levels at which there is nothing beside it."""
    while at > to:
        at -= 1
        node = node_root(EMPTY, node) if value >> TAG_BITS - 1 - at & 1 else node_root(node, EMPTY)
    return node


# --- proving ------------------------------------------------------------------------------------------


def prove(tag: bytes, crown: Crown, tags: SortedTags) -> TagProof:
    """Return the proof of what stands in the place of a tag: it, another one, or none.

    Args:
        tag: 32 bytes.
        crown: of the tree.
        tags: the same tags the crown was built of.

    Raises:
        VerificationError: crown and tags do not belong together; nothing was proved.
    """
    value, siblings = int.from_bytes(tag, "big"), []
    first, last = 0, crown.starts[-1]
    for depth in range(1, crown.depth + 1):
        if last - first < 2:
            break
        prefix = value >> TAG_BITS - depth
        siblings.append(crown.levels[depth][prefix ^ 1])
        first, last = (crown.starts[end << crown.depth - depth] for end in (prefix, prefix + 1))
    below = list(_each(tags, first, last))
    while len(below) > 1:
        depth = len(siblings) + 1
        prefix = value >> TAG_BITS - depth
        middle = (prefix | 1) << TAG_BITS - depth
        cut = bisect_left(below, middle.to_bytes(TAG_BYTES, "big"))
        parts = below[:cut], below[cut:]
        below, beside = parts[prefix & 1], parts[~prefix & 1]
        siblings.append(next((root for _, _, root in _roots(beside, depth)), EMPTY))
    proof = _standing(tag, siblings, below)
    if not hmac.compare_digest(climbed(tag, proof), crown.root):
        raise VerificationError("tags: they are not those of the tree; build it again from them")
    return proof


def _standing(tag: bytes, siblings: Sequence[bytes], below: Sequence[bytes]) -> TagProof:
    if not below:
        return TagProof(Kind.ABSENT_EMPTY, tuple(siblings))
    if below[0] == tag:
        return TagProof(Kind.PRESENT, tuple(siblings))
    return TagProof(Kind.ABSENT_OTHER, tuple(siblings), below[0])

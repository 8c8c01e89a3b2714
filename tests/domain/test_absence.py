"""Presence and absence: against a naive tree, against trees that were built wrongly, and every bit."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.absence import (
    EMPTY,
    Kind,
    TagProof,
    check_absent,
    check_present,
    parse_tag_proof,
    tag_of,
    tag_secret,
)
from withhold.domain.prefix_tree import crown_of, prove, sorted_tags
from withhold.errors import VerificationError


def bit(tag: bytes, level: int) -> int:
    return tag[level // 8] >> (7 - level % 8) & 1


def naive(tags: Sequence[bytes], level: int = 0) -> bytes:
    """Return the root as the format says it, word by word."""
    if not tags:
        return bytes(32)
    if len(tags) == 1:
        return sha256(b"\0" + tags[0]).digest()
    halves = [[tag for tag in tags if bit(tag, level) == side] for side in (0, 1)]
    return sha256(b"\1" + naive(halves[0], level + 1) + naive(halves[1], level + 1)).digest()


def tags_of(count: int, seed: str = "") -> list[bytes]:
    return [sha256(f"{seed}{n}".encode()).digest() for n in range(count)]


# Tags that share many bits, so that the deep and lonely places of a tree are reached.
CLOSE = st.builds(
    lambda first, bits, last: ((first << 248) | (bits << 120) | last).to_bytes(32, "big"),
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 5),
)
SETS = st.sets(CLOSE | st.binary(min_size=32, max_size=32), max_size=12)


def test_a_tag_is_built_as_documented() -> None:
    secret = hmac.new(b"k" * 32, b"u", "sha256").digest()
    assert tag_secret(b"k" * 32) == secret
    assert tag_of(secret, "chat@4") == sha256(b"withhold/tag/v1\0" + secret + b"chat@4").digest()


def test_a_subject_has_another_tag_in_each_dataset() -> None:
    tags = {tag_of(tag_secret(key), f"chat@{n}") for key in (b"a" * 32, b"b" * 32) for n in (1, 2)}
    assert len(tags) == 4


# --- building -----------------------------------------------------------------------------------------


def test_the_root_of_no_tag_and_of_one() -> None:
    assert crown_of(b"").root == EMPTY
    tag = tags_of(1)[0]
    assert crown_of(tag).root == sha256(b"\0" + tag).digest()


def test_a_root_by_hand() -> None:
    low, high, last = b"\x00" * 32, b"\x20" * 32, b"\xff" * 32  # 000…, 001…, 111…
    leaf = [sha256(b"\0" + tag).digest() for tag in (low, high, last)]
    inner = sha256(b"\1" + leaf[0] + leaf[1]).digest()  # they part at the third bit
    inner = sha256(b"\1" + inner + EMPTY).digest()  # nothing has 01
    assert crown_of(low + high + last).root == sha256(b"\1" + inner + leaf[2]).digest()


@given(SETS, st.sampled_from([None, 0, 1, 3, 9]))
def test_a_tree_is_the_naive_one_whatever_is_kept_of_it(
    tags: set[bytes], depth: int | None
) -> None:
    crown = crown_of(sorted_tags(tags), depth)
    assert crown.root == naive(sorted(tags))
    assert crown.starts[-1] == len(tags)


def test_a_tree_of_some_thousands_is_the_naive_one() -> None:
    tags = tags_of(5000)
    crown = crown_of(sorted_tags(tags))
    assert (crown.depth, crown.root) == (6, naive(tags))


@pytest.mark.parametrize(
    "tags", [b"\1" * 32 + b"\0" * 32, b"\1" * 64, b"\1" * 32 + b"\2" * 32 + b"\2" * 32]
)
def test_tags_that_do_not_ascend_are_refused(tags: bytes) -> None:
    for depth in (0, 4):
        with pytest.raises(VerificationError, match="ascending, each once"):
            crown_of(tags, depth)


def test_what_is_not_whole_tags_is_refused() -> None:
    with pytest.raises(VerificationError, match="got 33 in all"):
        crown_of(bytes(33))


# --- proofs -------------------------------------------------------------------------------------------


@given(SETS, SETS, st.sampled_from([0, 2, 9]))
def test_each_tag_has_the_proof_of_its_kind_and_no_other(
    tags: set[bytes], others: set[bytes], depth: int
) -> None:
    ascending = sorted_tags(tags)
    crown = crown_of(ascending, depth)
    for tag in tags | others:
        proof = parse_tag_proof(bytes(prove(tag, crown, ascending)))
        right, wrong = check_present, check_absent
        if tag not in tags:
            right, wrong = wrong, right
        right(tag, proof, crown.root)
        with pytest.raises(VerificationError):
            wrong(tag, proof, crown.root)


@given(SETS, st.data())
def test_no_proof_serves_for_a_tag_of_the_other_kind(tags: set[bytes], data: st.DataObject) -> None:
    """Whatever is done to a proof of one tag, it does not prove the opposite of the truth of another."""
    ascending = sorted_tags(tags)
    root = crown_of(ascending).root
    some = sorted(tags | {data.draw(CLOSE)})
    proof = prove(data.draw(st.sampled_from(some)), crown_of(ascending), ascending)
    kind = data.draw(st.sampled_from(Kind))
    other = data.draw(st.none() | st.sampled_from([*some, root, *proof.siblings]))
    cut = data.draw(st.integers(0, len(proof.siblings)))
    altered = TagProof(kind, proof.siblings[:cut], other)
    for tag in some:
        wrong = check_absent if tag in tags else check_present
        with pytest.raises(VerificationError):
            wrong(tag, altered, root)


def test_proofs_of_a_tree_of_some_thousands_hold_and_are_small() -> None:
    tags = tags_of(20_000)
    ascending = sorted_tags(tags)
    crown = crown_of(ascending)
    for tag in tags[:300]:
        check_present(tag, prove(tag, crown, ascending), crown.root)
    for tag in tags_of(300, "other"):
        proof = bytes(prove(tag, crown, ascending))
        check_absent(tag, parse_tag_proof(proof), crown.root)
        assert len(proof) <= 3 + 4 + 32 * (15 + 10)  # log2, and a little


def test_a_proof_from_tags_of_another_tree_is_not_handed_out() -> None:
    tags, others = sorted_tags(tags_of(500)), sorted_tags(tags_of(500, "other"))
    with pytest.raises(VerificationError, match="not those of the tree"):
        prove(others[:32], crown_of(tags), others)


# --- every bit ----------------------------------------------------------------------------------------

TREE = sorted_tags(tags_of(100))
CROWN = crown_of(TREE)
PROOFS = [(tag, prove(tag, CROWN, TREE)) for tag in (tags_of(1)[0], *tags_of(20, "other"))]


def test_the_proofs_tried_here_are_of_every_kind() -> None:
    assert {proof.kind for _, proof in PROOFS} == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_every_altered_bit_is_found(kind: Kind) -> None:
    tag, proof = next(each for each in PROOFS if each[1].kind is kind)
    data = bytes(proof)
    for place in range(len(data)):
        for change in range(1, 256) if place < 5 else (1, 2, 4, 8, 16, 32, 64, 128, 255):
            altered = bytearray(data)
            altered[place] ^= change
            for check in (check_present, check_absent):
                with pytest.raises(VerificationError):
                    check(tag, parse_tag_proof(bytes(altered)), CROWN.root)


@pytest.mark.parametrize("kind", Kind)
def test_a_proof_cut_short_or_with_something_after_it_is_found(kind: Kind) -> None:
    data = next(bytes(proof) for _, proof in PROOFS if proof.kind is kind)
    for wrong in (*(data[:end] for end in range(len(data))), data + b"\0", data + bytes(32)):
        with pytest.raises(VerificationError):
            parse_tag_proof(wrong)


def test_what_is_not_a_proof_is_refused() -> None:
    for wrong in (
        b"\3\0\0",  # no such kind
        b"\0\1\1" + bytes(33) + b"\x80" + bytes(32),  # deeper than a tag has bits
        b"\0\0\1\0",  # ends where nothing is beside it
        b"\0\0\1\x80" + EMPTY,  # a sibling that is there and empty
        b"\0\0\1\xc0" + bytes(31) + b"\1",  # a mark below the end
    ):
        with pytest.raises(VerificationError):
            parse_tag_proof(wrong)


@given(st.binary(max_size=120))
def test_what_is_parsed_has_one_form_only(data: bytes) -> None:
    try:
        proof = parse_tag_proof(data)
    except VerificationError:
        return
    assert bytes(proof) == data


def test_a_tag_or_root_of_another_length_is_refused() -> None:
    tag, proof = PROOFS[0]
    for wrong in (
        (tag + b"\0", proof, CROWN.root),
        (tag, proof, CROWN.root[:-1]),
        (tag, replace(proof, siblings=(*proof.siblings, bytes(31))), CROWN.root),
        (tag, replace(proof, other=tag), CROWN.root),
        (tag, TagProof(Kind.PRESENT, (b"\1" * 32,) * 257), CROWN.root),
    ):
        with pytest.raises(VerificationError, match="expected"):
            check_present(*wrong)


# --- trees that were built wrongly --------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    tag: bytes


@dataclass(frozen=True)
class Node:
    left: Tree
    right: Tree


Tree = Leaf | Node | None


def _trees(levels: int) -> st.SearchStrategy[Tree]:
    """Return trees of so many levels; not `st.recursive`, which may warn in a long run."""
    ends: st.SearchStrategy[Tree] = st.none() | st.builds(Leaf, CLOSE)
    return ends if not levels else ends | st.builds(Node, _trees(levels - 1), _trees(levels - 1))


TREES = _trees(4)


def hashed(tree: Tree) -> bytes:
    if tree is None:
        return EMPTY
    if isinstance(tree, Leaf):
        return sha256(b"\0" + tree.tag).digest()
    return sha256(b"\1" + hashed(tree.left) + hashed(tree.right)).digest()


def places(
    tree: Tree, siblings: tuple[bytes, ...] = ()
) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
    """Yield every hash of a tree, with all that is beside the way to it."""
    yield hashed(tree), siblings
    if isinstance(tree, Node):
        yield from places(tree.left, (*siblings, hashed(tree.right)))
        yield from places(tree.right, (*siblings, hashed(tree.left)))


def tags_in(tree: Tree) -> set[bytes]:
    if isinstance(tree, Node):
        return tags_in(tree.left) | tags_in(tree.right)
    return {tree.tag} if isinstance(tree, Leaf) else set()


def holds(check: object, tag: bytes, proof: TagProof, root: bytes) -> bool:
    try:
        check(tag, proof, root)  # type: ignore[operator]
    except VerificationError:
        return False
    return True


@given(TREES, CLOSE)
def test_no_tree_however_built_proves_that_a_tag_is_in_it_and_that_it_is_not(
    tree: Tree, stranger: bytes
) -> None:
    """Leaves in wrong places, twice, unsorted: whoever built it, each tag has at most one verdict."""
    root, tags = hashed(tree), tags_in(tree) | {stranger}
    for tag in tags:
        verdicts = set()
        for found, siblings in places(tree):
            forged = [TagProof(Kind.PRESENT, siblings), TagProof(Kind.ABSENT_EMPTY, siblings)]
            forged += [TagProof(Kind.ABSENT_OTHER, siblings, each) for each in (*tags, found)]
            for proof in forged:
                verdicts |= {"present"} if holds(check_present, tag, proof, root) else set()
                verdicts |= {"absent"} if holds(check_absent, tag, proof, root) else set()
        assert len(verdicts) < 2


def test_a_tag_in_a_place_that_is_not_its_own_proves_nothing() -> None:
    low, high = b"\0" * 32, b"\xff" * 32
    swapped = Node(Leaf(high), Leaf(low))
    lie = TagProof(Kind.ABSENT_OTHER, (hashed(Leaf(low)),), high)  # climbs to the root all the same
    with pytest.raises(VerificationError, match="shares 1 bits, got 0"):
        check_absent(b"\1" * 32, lie, hashed(swapped))


def test_a_node_is_not_taken_for_a_tag() -> None:
    """Otherwise the root of any tree would be the only tag of another one, and all were absent."""
    tags = [b"\0" * 32, b"\xff" * 32]
    tree = Node(Leaf(tags[0]), Leaf(tags[1]))
    for posing in (hashed(tree), hashed(tree.left), sha256(b"\0" + hashed(tree.left)).digest()):
        for tag in tags:
            lie = TagProof(Kind.ABSENT_OTHER, (), posing)
            assert not holds(check_absent, tag, lie, hashed(tree))

"""The Merkle tree: vectors, and every proof of every small tree against a naive recursive one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.tree import (
    EMPTY_ROOT,
    Frontier,
    HashAt,
    TreeHead,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    root_at,
)
from withhold.errors import InputError, VerificationError

MOST = 130  # every pair of sizes up to here; the larger ones by chance

# The inputs and roots that the reference implementations of RFC 6962 are tested with.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {  # (index, size): the hashes of the inclusion proof
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


# --- the specification once more, word by word: slow, recursive, and of one piece ---------------------


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], is_whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if is_whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], is_whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % n for n in range(count)]


@cache
def stored(count: int) -> dict[tuple[int, int], bytes]:
    """Return every node of a tree of that size, from the naive form."""
    leaves = entries(count)
    return {
        (level, index): mth(leaves[index << level : index + 1 << level])
        for level in range(count.bit_length())
        for index in range(count >> level)
    }


def hash_at(size: int) -> HashAt:
    """Return a reader of the nodes that a tree of a size has, and of no others."""
    nodes = stored(MOST)

    def read(level: int, index: int) -> bytes:
        assert index + 1 << level <= size, "asked for a node that does not exist yet"
        return nodes[level, index]

    return read


def reader(nodes: list[list[bytes]]) -> HashAt:
    return lambda level, index: nodes[level][index]


def head(count: int) -> TreeHead:
    return TreeHead(count, mth(entries(count)))


# --- vectors ------------------------------------------------------------------------------------------


def test_roots_are_those_of_the_public_vectors() -> None:
    frontier = Frontier()
    assert frontier.head() == TreeHead(0, bytes.fromhex(ROOTS[0]))
    for entry, root in zip(INPUTS, ROOTS[1:], strict=True):
        frontier, _ = frontier.grown([leaf_hash(entry)])
        assert frontier.head().root.hex() == root


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_inclusion_proofs_are_those_of_the_public_vectors(index: int, size: int) -> None:
    nodes = Frontier().grown(leaf_hashes(INPUTS[:size]))[1]
    proof = inclusion_proof(index, size, reader(nodes))
    assert [each.hex() for each in proof] == PATHS[index, size]


# --- growing ------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 70), max_size=8))
def test_a_tree_grown_in_any_batches_is_the_tree_of_its_entries(batches: list[int]) -> None:
    leaves = leaf_hashes(entries(sum(batches)))
    frontier, found, start = Frontier(), {}, 0
    for batch in batches:
        frontier, nodes = frontier.grown(leaves[start : start + batch])
        for level, row in enumerate(nodes):
            found.update({(level, (start >> level) + n): node for n, node in enumerate(row)})
        start += batch
        assert frontier.head() == head(start)
    assert found == stored(start)  # every node once, at its own place


def test_growing_leaves_the_frontier_before_as_it_was() -> None:
    before = Frontier().grown([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])[0]
    kept = before.head()
    before.grown([leaf_hash(b"d")])
    assert before.head() == kept
    assert before.grown([])[0] == before


def test_the_root_of_any_size_follows_from_the_nodes() -> None:
    for size in range(MOST + 1):
        assert root_at(size, hash_at(size)) == mth(entries(size))


# --- proofs -------------------------------------------------------------------------------------------


def test_every_inclusion_proof_of_every_small_tree_is_the_naive_one_and_checks() -> None:
    for size in range(1, MOST + 1):
        leaves, top = entries(size), head(size)
        for index in range(size):
            proof = inclusion_proof(index, size, hash_at(size))
            assert list(proof) == path(index, leaves)
            check_inclusion(leaf_hash(leaves[index]), index, proof, top)
            assert len(proof) <= (size - 1).bit_length()


def test_every_consistency_proof_of_every_pair_of_small_trees_is_the_naive_one_and_checks() -> None:
    heads = [head(size) for size in range(MOST + 1)]
    for new in range(1, MOST + 1):
        leaves = entries(new)
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, hash_at(new))
            assert list(proof) == subproof(old, leaves, True)
            check_consistency(heads[old], heads[new], proof)


@given(st.data())
def test_proofs_of_trees_of_some_thousands_hold(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 5000))
    index = data.draw(st.integers(0, size - 1))
    leaves = [sha256(n.to_bytes(4, "big")).digest() for n in range(size)]
    grown, nodes = Frontier().grown(leaves)
    older = Frontier().grown(leaves[:index])[0].head()
    read = reader(nodes)
    check_inclusion(leaves[index], index, inclusion_proof(index, size, read), grown.head())
    check_consistency(older, grown.head(), consistency_proof(index, size, read))


def test_the_empty_tree_begins_every_tree_without_a_proof() -> None:
    assert consistency_proof(0, 5, hash_at(5)) == ()
    check_consistency(TreeHead(0, EMPTY_ROOT), head(5), ())
    check_consistency(TreeHead(0, EMPTY_ROOT), TreeHead(0, EMPTY_ROOT), ())


# --- refusals -----------------------------------------------------------------------------------------


@given(st.integers(1, MOST), st.data())
def test_an_inclusion_proof_with_anything_altered_is_refused(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaf = leaf_hash(entries(size)[index])
    proof, top = inclusion_proof(index, size, hash_at(size)), head(size)
    wrongs = [
        (flipped(leaf, data), index, proof, top),
        (leaf, index, proof, top._replace(root=flipped(top.root, data))),
        (leaf, index, (*proof, leaf), top),
        (leaf, index, (*proof[:-1], proof[-1][:-1]) if proof else (b"",), top),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrongs += [
            (leaf, index, (*proof[:at], flipped(proof[at], data), *proof[at + 1 :]), top),
            (leaf, index, proof[:-1], top),
            (leaf, index ^ 1, proof, top),
        ]
    wrongs += [(leaf, out, proof, top) for out in (-1, size, size + 1)]
    for wrong in wrongs:
        with pytest.raises(VerificationError, match=r"expected .* got"):
            check_inclusion(*wrong)


@given(st.integers(1, MOST), st.data())
def test_a_consistency_proof_with_anything_altered_is_refused(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, new))
    before, after = head(old), head(new)
    proof = consistency_proof(old, new, hash_at(new))
    wrongs = [
        (before._replace(root=flipped(before.root, data)), after, proof),
        (before, after._replace(root=flipped(after.root, data)), proof),
        (before, after, (*proof, after.root)),
        (before, after, (*proof, b"short")),
    ]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        wrongs += [
            (before, after, (*proof[:at], flipped(proof[at], data), *proof[at + 1 :])),
            (before, after, proof[:-1]),
            (before, after, ()),
        ]
    for wrong in wrongs:
        with pytest.raises(VerificationError, match=r"expected .* got"):
            check_consistency(*wrong)


@pytest.mark.parametrize("size", [-1, 6])
def test_an_older_tree_is_not_larger_and_not_negative(size: int) -> None:
    with pytest.raises(VerificationError, match=f"expected an old size from 0 to 5, got {size}"):
        check_consistency(TreeHead(size, head(5).root), head(5), ())


def test_a_root_stands_for_one_size_only() -> None:
    proof, leaf = inclusion_proof(0, 8, hash_at(8)), leaf_hash(entries(1)[0])
    longer = consistency_proof(2, 8, hash_at(8))
    for size, message in ((4, "expected 2 hashes, got 3"), (16, "more than 3 hashes, got 3")):
        lie = TreeHead(size, head(8).root)
        with pytest.raises(VerificationError, match=message):
            check_inclusion(leaf, 0, proof, lie)
    for size, message in ((4, "expected 1 hashes, got 2"), (16, "more than 2 hashes, got 2")):
        with pytest.raises(VerificationError, match=message):
            check_consistency(head(2), TreeHead(size, head(8).root), longer)
    with pytest.raises(VerificationError, match="expected 1 hashes, got 3"):
        check_consistency(head(1), TreeHead(2, head(8).root), consistency_proof(1, 8, hash_at(8)))
    partial = consistency_proof(3, 8, hash_at(8))
    with pytest.raises(VerificationError, match="expected 3 hashes, got 4"):
        check_consistency(head(3), TreeHead(4, head(8).root), partial)


def test_the_empty_tree_has_one_root_and_no_proof() -> None:
    with pytest.raises(VerificationError, match="older tree: expected the root"):
        check_consistency(TreeHead(0, bytes(32)), head(5), ())
    with pytest.raises(VerificationError, match="an empty consistency proof"):
        check_consistency(TreeHead(0, EMPTY_ROOT), head(5), (bytes(32),))


def test_a_byte_moved_from_one_hash_to_the_next_is_found() -> None:
    """Both spell the same bytes below a node, and would hash alike."""
    leaf, top = leaf_hash(entries(1)[0]), head(2)
    (beside,) = inclusion_proof(0, 2, hash_at(2))
    for moved in ((leaf[:-1], leaf[-1:] + beside), (leaf + beside[:1], beside[1:])):
        with pytest.raises(VerificationError, match="hashes of 32 bytes"):
            check_inclusion(moved[0], 0, (moved[1],), top)


def test_a_tree_that_lost_or_altered_an_entry_is_not_consistent() -> None:
    whole = leaf_hashes(entries(40))
    older = Frontier().grown(whole[:20])[0].head()
    for lie in (whole[:7] + whole[8:], [*whole[:7], leaf_hash(b"other"), *whole[8:]]):
        frontier, nodes = Frontier().grown(lie)
        proof = consistency_proof(20, frontier.size, reader(nodes))
        with pytest.raises(VerificationError, match="older tree: expected the root"):
            check_consistency(older, frontier.head(), proof)


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0)])
def test_a_proof_of_what_is_not_in_the_tree_is_not_made(index: int, size: int) -> None:
    with pytest.raises(InputError, match="no leaf"):
        inclusion_proof(index, size, hash_at(MOST))


def test_a_proof_from_a_larger_tree_is_not_made() -> None:
    with pytest.raises(InputError, match="never had 6 leaves"):
        consistency_proof(6, 5, hash_at(MOST))


def flipped(value: bytes, data: st.DataObject) -> bytes:
    at, bit = data.draw(st.integers(0, len(value) - 1)), data.draw(st.integers(0, 7))
    return value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :]

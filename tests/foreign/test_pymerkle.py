"""pymerkle, another implementation in Python, has the same roots and the same inclusion proofs.

Needs the extra ``foreign``. Its consistency proofs are of its own form: they are checked against our roots.
"""

from __future__ import annotations

import pytest

from tests.domain.test_tiles import LEAVES, Stored
from withhold.domain.tiles import TileHashes
from withhold.domain.tree import TreeHead, inclusion_proof, root_at

pymerkle = pytest.importorskip("pymerkle", reason="needs the extra foreign")
pytestmark = pytest.mark.foreign

SIZE = 2500
STORED = Stored(LEAVES[:SIZE])
HASH_AT = TileHashes(STORED.read).at(STORED.edge)
SIZES = [1, 2, 3, 255, 256, 257, 1000, 2048, SIZE]
TREE = pymerkle.InmemoryTree.init_from_entries(n.to_bytes(4, "big") for n in range(SIZE))


@pytest.mark.parametrize("size", SIZES)
def test_pymerkle_has_the_same_root(size: int) -> None:
    assert TREE.get_root(size) == root_at(size, HASH_AT)


@pytest.mark.parametrize("size", SIZES)
def test_pymerkle_makes_and_checks_the_same_inclusion_proofs(size: int) -> None:
    head = TreeHead(size, root_at(size, HASH_AT))
    for index in sorted({0, size // 3, size // 2, size - 1}):
        path = [LEAVES[index], *inclusion_proof(index, size, HASH_AT)]
        proof = TREE.prove_inclusion(index + 1, size)  # it counts from one
        assert proof.path == path
        proof.path = path
        pymerkle.verify_inclusion(LEAVES[index], head.root, proof, index + 1, size)
        proof.path = [*path[:-1], bytes(32)] if size > 1 else [bytes(32)]
        with pytest.raises(pymerkle.InvalidProof):
            pymerkle.verify_inclusion(LEAVES[index], head.root, proof, index + 1, size)


@pytest.mark.parametrize("size", SIZES)
def test_pymerkle_finds_our_trees_consistent(size: int) -> None:
    proof = TREE.prove_consistency(size, SIZE)
    old, new = root_at(size, HASH_AT), STORED.edge.head().root
    pymerkle.verify_consistency(old, new, proof, size, SIZE)
    with pytest.raises(pymerkle.InvalidProof):
        pymerkle.verify_consistency(bytes(32), new, proof, size, SIZE)

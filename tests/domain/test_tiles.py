"""Tiles: names, full tiles and the right edge, against the naive tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.test_tree import mth
from withhold.domain.tiles import (
    ENTRIES,
    TILE_BYTES,
    FullTile,
    ReadTile,
    RightEdge,
    TileHashes,
    TileId,
    bundle,
    check_tiles,
    parse_path,
    rebuilt,
    stored_leaves,
)
from withhold.domain.tree import (
    Frontier,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_at,
)
from withhold.errors import InputError, VerificationError

LARGE = 66_000  # just above 256 * 256: three levels of tiles
LEAVES = [leaf_hash(n.to_bytes(4, "big")) for n in range(LARGE)]
SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, LARGE]


class Stored:
    """A tree as a program would keep it: full tiles, and the edge."""

    def __init__(self, leaves: Sequence[bytes], batches: Sequence[int] = ()) -> None:
        self.edge = RightEdge()
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.asked: list[tuple[int, int]] = []
        start = 0
        for batch in (*batches, len(leaves)):
            self.edge, full = self.edge.grown(leaves[start : start + batch])
            self.store(full)
            start += batch

    def store(self, full: Sequence[FullTile]) -> None:
        for tile in full:
            assert (tile.level, tile.number) not in self.tiles, "a full tile came twice"
            self.tiles[tile.level, tile.number] = tile.hashes

    def read(self, level: int, number: int) -> bytes:
        self.asked.append((level, number))
        return self.tiles[level, number]


WHOLE = Stored(LEAVES)


# --- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TileId(0, 0), "tile/0/000"),
        (TileId(0, 1_234_067), "tile/0/x001/x234/067"),
        (TileId(1, 1000), "tile/1/x001/000"),
        (TileId(63, 999, 255), "tile/63/999.p/255"),
        (TileId(ENTRIES, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_a_tile_has_the_path_of_the_specification(tile: TileId, path: str) -> None:
    assert tile.path == path
    assert parse_path(path) == tile


@given(st.integers(ENTRIES, 63), st.integers(0, 2**60), st.integers(1, 256))
def test_a_path_names_its_tile(level: int, number: int, width: int) -> None:
    assert parse_path(TileId(level, number, width).path) == TileId(level, number, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/001",  # a longer path of tile 1
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/007",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "/tile/0/000",
        "tile/8/0/000",
    ],
)
def test_what_is_not_the_one_path_of_a_tile_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="no such path"):
        parse_path(path)


def test_a_bundle_is_entries_with_their_lengths() -> None:
    assert bundle([b"a", b"", b"c" * 300]) == b"\0\1a\0\0" + b"\x01\x2c" + b"c" * 300


# --- full tiles and the edge --------------------------------------------------------------------------


def test_full_tiles_hold_the_nodes_of_the_specification() -> None:
    assert sorted(WHOLE.tiles) == [*((0, n) for n in range(257)), (1, 0)]
    below = b"".join(LEAVES[256 * 7 : 256 * 8])
    assert WHOLE.tiles[0, 7] == below
    entries = [n.to_bytes(4, "big") for n in range(256 * 7, 256 * 8)]
    assert WHOLE.tiles[1, 0][7 * 32 : 8 * 32] == mth(entries)
    assert [len(each) // 32 for each in WHOLE.edge.partial] == [LARGE % 256, 1, 1]


@given(st.lists(st.integers(0, 700), max_size=6))
def test_tiles_do_not_depend_on_batches(batches: list[int]) -> None:
    leaves = LEAVES[: sum(batches)]
    assert Stored(leaves, batches).tiles == Stored(leaves).tiles
    assert Stored(leaves, batches).edge == Stored(leaves).edge


@pytest.mark.parametrize("size", SIZES)
def test_the_edge_is_rebuilt_from_tiles_and_the_last_leaves(size: int) -> None:
    stored = Stored(LEAVES[:size])
    last = LEAVES[size - size % 256 : size]
    assert rebuilt(size, last, stored.read) == stored.edge
    assert stored.edge.head() == Frontier().grown(LEAVES[:size])[0].head()


def test_rebuilding_reads_few_tiles() -> None:
    WHOLE.asked.clear()
    rebuilt(LARGE, LEAVES[LARGE - LARGE % 256 :], WHOLE.read)
    assert WHOLE.asked == [(0, 256), (1, 0)]


def test_a_rebuilt_edge_goes_on_growing() -> None:
    size = 300
    half = Stored(LEAVES[:size])
    edge, full = rebuilt(size, LEAVES[256:size], half.read).grown(LEAVES[size:1000])
    half.store(full)
    assert edge == Stored(LEAVES[:1000]).edge
    assert half.tiles == Stored(LEAVES[:1000]).tiles


def test_rebuilding_from_what_is_not_whole_is_refused() -> None:
    with pytest.raises(VerificationError, match="expected 44 leaves after the last tile, got 43"):
        rebuilt(300, LEAVES[256:299], WHOLE.read)
    with pytest.raises(VerificationError, match="expected 8192 bytes, got 8191"):
        rebuilt(300, LEAVES[256:300], lambda level, number: WHOLE.read(level, number)[:-1])


# --- proofs from tiles --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES[1:])
def test_proofs_from_tiles_hold(size: int) -> None:
    stored = Stored(LEAVES[:size])
    hash_at, head = TileHashes(stored.read).at(stored.edge), stored.edge.head()
    for index in sorted({0, 1, size // 3, size // 2, size - 1} & set(range(size))):
        check_inclusion(LEAVES[index], index, inclusion_proof(index, size, hash_at), head)
        older = Frontier().grown(LEAVES[:index])[0].head()
        check_consistency(older, head, consistency_proof(index, size, hash_at))
        assert root_at(index, hash_at) == older.root


def test_a_proof_for_an_older_size_is_made_from_the_tiles_of_now() -> None:
    hash_at = TileHashes(WHOLE.read).at(WHOLE.edge)
    older = Frontier().grown(LEAVES[:777])[0].head()
    check_inclusion(LEAVES[700], 700, inclusion_proof(700, 777, hash_at), older)


def test_a_tile_is_read_once_for_many_proofs() -> None:
    hash_at = TileHashes(WHOLE.read).at(WHOLE.edge)
    WHOLE.asked.clear()
    for index in range(512, 768):
        inclusion_proof(index, LARGE, hash_at)
    assert sorted(WHOLE.asked) == [(0, 2), (1, 0)]


# --- the whole tree once more -------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_tree_follows_from_its_tiles_and_from_its_entries(size: int) -> None:
    stored = Stored(LEAVES[:size])
    check_tiles(stored.edge, stored_leaves(stored.edge, stored.read), stored.read)
    check_tiles(stored.edge, [LEAVES[: size // 3], LEAVES[size // 3 : size]], stored.read)


@pytest.mark.parametrize("tile", [(0, 0), (0, 200), (1, 0)])
def test_a_tile_with_one_altered_bit_is_found(tile: tuple[int, int]) -> None:
    altered = bytearray(WHOLE.tiles[tile])
    altered[5000] ^= 1
    read = replaced(WHOLE, tile, bytes(altered))
    with pytest.raises(VerificationError, match=f"tile {tile[0]}/{tile[1]}: expected the hashes"):
        check_tiles(WHOLE.edge, [LEAVES], read)
    # from the tiles alone the one above is the first that does not follow
    with pytest.raises(VerificationError, match="tile 1/0: expected the hashes"):
        check_tiles(WHOLE.edge, stored_leaves(WHOLE.edge, read), read)


def test_an_altered_edge_is_found() -> None:
    small = Stored(LEAVES[:300])
    altered = replace(small.edge, partial=(bytes(32 * 44), small.edge.partial[1]))
    with pytest.raises(VerificationError, match="expected 300 leaves and the root"):
        check_tiles(altered, stored_leaves(altered, small.read), small.read)
    with pytest.raises(VerificationError, match="expected 299 leaves and the root"):
        check_tiles(small.edge, [LEAVES[:299]], small.read)


def replaced(stored: Stored, tile: tuple[int, int], hashes: bytes) -> ReadTile:
    assert len(hashes) == TILE_BYTES
    assert hashes != stored.tiles[tile]
    return lambda level, number: hashes if (level, number) == tile else stored.tiles[level, number]

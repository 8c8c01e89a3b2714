"""Tiles: the nodes of the tree as files of 256 hashes, which anyone can fetch, keep and check.

    tile (level, number)   256 hashes end to end: the nodes (8 * level, number * 256 + i), i = 0..255
    partial tile           the first 1 to 255 of them, at the right edge of the tree
    entry bundle           the entries under a tile of level 0, each as u16(length) || entry

Only full tiles are stored, and a full tile never changes. The nodes between two levels follow from the
tile below. The right edge, what no full tile holds yet, is at most 255 hashes a level; it is kept in
memory and rebuilt at the start from the tiles and from the entries after the last one.

Invariant: an edge is a value, so that a transaction that is undone leaves nothing behind.

Source: C2SP tlog-tiles, https://c2sp.org/tlog-tiles.
Not here: where tiles are stored, and serving them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from withhold.domain.tree import HASH_BYTES, Frontier, HashAt, TreeHead, paired
from withhold.errors import InputError, VerificationError

HEIGHT = 8
WIDTH = 1 << HEIGHT
TILE_BYTES = WIDTH * HASH_BYTES
ENTRIES = -1  # in the place of a level: the entries themselves
KEPT = 64  # full tiles kept expanded: some 40 kB each

_HIGHEST_LEVEL = 63
_NO_TREE = Frontier()
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)

ReadTile = Callable[[int, int], bytes]
"""Returns the 8,192 bytes of the full tile (level, number), as stored or as it follows from below."""


@dataclass(frozen=True, slots=True)
class TileId:
    """The name of a tile or of an entry bundle.

    Attributes:
        level: 0 for leaf hashes; `ENTRIES` for a bundle of entries.
        number: from 0, within the level.
        width: 256, or the 1 to 255 first hashes of a partial tile.
    """

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The place below the log's address: ``tile/0/x001/x234/067``."""
        digits = f"{self.number % 1000:03}"
        rest = self.number // 1000
        while rest:
            digits, rest = f"x{rest % 1000:03}/{digits}", rest // 1000
        level = "entries" if self.level == ENTRIES else self.level
        suffix = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{digits}{suffix}"


def parse_path(path: str) -> TileId:
    """Return the tile that a path names; each tile has one path only.

    Raises:
        InputError: it is not the path of a tile.
    """
    found = _PATH.fullmatch(path)
    if found is not None:
        level = ENTRIES if found[1] == "entries" else int(found[1])
        number = int(found[2].replace("x", "").replace("/", ""))
        tile = TileId(level, number, int(found[3] or WIDTH))
        if level <= _HIGHEST_LEVEL and tile.path == path:
            return tile
    raise InputError("tile: no such path; expected the form tile/0/x001/234 or tile/0/x001/234.p/5")


def bundle(entries: Iterable[bytes]) -> bytes:
    """Return the entry bundle of consecutive entries, each shorter than 64 KiB."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that is complete and has to be stored: ``hashes`` is its 8,192 bytes."""

    level: int
    number: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class RightEdge:
    """A tree that can grow: its peaks, and the hashes that are in no full tile yet.

    Attributes:
        frontier: size and peaks.
        partial: by tile level, the hashes of the last, partial tile, end to end.
    """

    frontier: Frontier = _NO_TREE
    partial: tuple[bytes, ...] = ()

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self.frontier.size

    def head(self) -> TreeHead:
        """Return the head of the tree."""
        return self.frontier.head()

    def grown(self, leaves: Sequence[bytes]) -> tuple[RightEdge, list[FullTile]]:
        """Return the edge after more leaves, and the tiles that became full.

        Args:
            leaves: leaf hashes, in order.
        """
        frontier, nodes = self.frontier.grown(leaves)
        partial, full = list(self.partial), []
        for level, row in enumerate(nodes[::HEIGHT]):
            if level == len(partial):
                partial.append(b"")
            hashes = partial[level] + b"".join(row)
            number = self.size >> HEIGHT * (level + 1)
            end = len(hashes) - len(hashes) % TILE_BYTES
            for start in range(0, end, TILE_BYTES):
                full.append(FullTile(level, number, hashes[start : start + TILE_BYTES]))
                number += 1
            partial[level] = hashes[end:]
        return RightEdge(frontier, tuple(partial)), full


def rebuilt(size: int, leaves: Sequence[bytes], read: ReadTile) -> RightEdge:
    """Return the right edge of a tree, from what is stored.

    Whoever asks compares its head with the last one that was signed.

    Args:
        size: of the tree.
        leaves: the leaf hashes after the last full tile of level 0, ``size % 256`` of them.
        read: returns full tiles.

    Raises:
        VerificationError: there are more or fewer leaves, or a stored tile is not one.
    """
    if len(leaves) != size % WIDTH:
        raise VerificationError(
            f"tree: expected {size % WIDTH} leaves after the last tile, got {len(leaves)}"
        )
    partial = [b"".join(leaves)]
    level = 1
    while size >> HEIGHT * level:
        count = size >> HEIGHT * level
        numbers = range(count - count % WIDTH, count)
        partial.append(over(level - 1, numbers, read))
        level += 1
    return RightEdge(Frontier(size, _peaks(size, partial)), tuple(partial) if size else ())


def over(level: int, numbers: Iterable[int], read: ReadTile) -> bytes:
    """Return the node over each of some full tiles of a level, end to end: hashes of the level above.

    Raises:
        VerificationError: a tile is not one.
    """
    return b"".join(_expanded(_full(read, level, number))[-1][0] for number in numbers)


def _peaks(size: int, partial: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the nodes a tree consists of: the whole ones at the right of each partial tile."""
    rows = [row for hashes in partial for row in _expanded(hashes)[:HEIGHT]]
    levels = [level for level in range(size.bit_length()) if size >> level & 1]
    return tuple(rows[level][-1] for level in reversed(levels))


def stored_leaves(edge: RightEdge, read: ReadTile) -> Iterator[list[bytes]]:
    """Yield the leaf hashes of a tree, in order, a tile at a time."""
    for number in range(edge.size >> HEIGHT):
        yield _hashes(_full(read, 0, number))
    if edge.partial:
        yield _hashes(edge.partial[0])


def check_tiles(edge: RightEdge, leaves: Iterable[Sequence[bytes]], read: ReadTile) -> None:
    """Recompute a whole tree from its leaves, and compare all that is stored of it.

    Args:
        edge: what the tree is said to be.
        leaves: leaf hashes in order, in parts of any length: of the entries themselves, or what
            `stored_leaves` yields, which leaves the entries to others.
        read: returns full tiles.

    Raises:
        VerificationError: a tile, or the head, does not follow; names the first.
    """
    found = RightEdge()
    for part in leaves:
        found, full = found.grown(part)
        for tile in full:
            if _full(read, tile.level, tile.number) != tile.hashes:
                raise VerificationError(
                    f"tile {tile.level}/{tile.number}: expected the hashes that follow from the "
                    "leaves, got others"
                )
    if found != edge:
        said, follows = edge.head(), found.head()
        raise VerificationError(
            f"tree: expected {follows.size} leaves and the root {follows.root.hex()}, which follow "
            f"from the leaves, got {said.size} and {said.root.hex()}"
        )


class TileHashes:
    """Every node of a tree, from its tiles; the last few are kept expanded."""

    def __init__(self, read: ReadTile) -> None:
        """Take full tiles from ``read``; each is asked for only when one of its nodes is."""

        @lru_cache(maxsize=KEPT)
        def rows(level: int, number: int) -> list[list[bytes]]:
            return _expanded(_full(read, level, number))

        self._rows = rows

    def at(self, edge: RightEdge) -> HashAt:
        """Return a reader of the nodes of one tree, which proofs are made from."""
        full = [edge.size >> HEIGHT * (level + 1) for level in range(len(edge.partial))]
        last: dict[int, list[list[bytes]]] = {}

        def hash_at(level: int, index: int) -> bytes:
            tile, height = divmod(level, HEIGHT)
            number, place = divmod(index, WIDTH >> height)
            if number < full[tile]:
                return self._rows(tile, number)[height][place]
            if tile not in last:
                last[tile] = _expanded(edge.partial[tile])
            return last[tile][height][place]

        return hash_at


def _full(read: ReadTile, level: int, number: int) -> bytes:
    hashes = read(level, number)
    if len(hashes) != TILE_BYTES:
        raise VerificationError(
            f"tile {level}/{number}: expected {TILE_BYTES} bytes, got {len(hashes)}"
        )
    return hashes


def _hashes(tile: bytes) -> list[bytes]:
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def _expanded(tile: bytes) -> list[list[bytes]]:
    """Return the nodes of a tile by height, from its own hashes up to the one over all of them."""
    rows = [_hashes(tile)]
    for _ in range(HEIGHT):
        rows.append(paired(rows[-1]))
    return rows

"""The tree over the entries: grown and signed while the disk is flushed, before anybody is told.

    jobs -> entries -> [full tiles of the commit before] -> COMMIT (fsync)             -> confirmed
                                                         `-> [tree grown, head signed] '

A head counts, and can be seen, only once its entries are on disk; of a commit that failed it is dropped.

The entries of a commit are taken from the memory of the transaction that added them, when the last chain
value in the table is the one they give; else, after another process or a job that raised, from the table.

The edge of the tree, what no full tile holds yet, is memory alone: it follows from the last tiles and
the entries after them. So a crash leaves nothing to repair, and an edge that another process has passed
is caught up from the entries. Full tiles are kept with the next commit that adds an entry, whoever makes
it; one that is not kept yet follows from what is below it. Ed25519 has no chance in it, so every process
signs the same head with the same bytes.

Source: design section 6; RFC 6962; C2SP tlog-tiles and tlog-checkpoint.
Not here: the arithmetic (`domain.tree`, `domain.tiles`), seeds (`log_keys`), other people's signatures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apsw

from withhold.adapters.store.sqlite import kept
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.entries import head_of
from withhold.adapters.store.sqlite.log_keys import REPLACED, LogKeys
from withhold.adapters.store.sqlite.transaction import SqliteTransaction
from withhold.domain.checkpoints import Checkpoint, LogKey, line, message, signature, signed
from withhold.domain.jws import Unsigned
from withhold.domain.ledger import CHAIN_START
from withhold.domain.names import Position
from withhold.domain.notes import NoteKey, Signature, SignedNote, Signs
from withhold.domain.proofs import LogProof
from withhold.domain.tiles import (
    ENTRIES,
    TILE_BYTES,
    WIDTH,
    FullTile,
    ReadTile,
    RightEdge,
    TileHashes,
    TileId,
    bundle,
    check_tiles,
    over,
    rebuilt,
)
from withhold.domain.tree import (
    HASH_BYTES,
    Proof,
    consistency_proof,
    inclusion_proof,
    leaf_hashes,
    root_at,
)
from withhold.errors import InputError, VerificationError

FAR = 4 * WIDTH  # entries; from further behind the edge is rebuilt from tiles

_STATE = f"SELECT coalesce(max(position), 0), {REPLACED} FROM entries"
_LAST = f"SELECT position, {REPLACED}, chain FROM entries ORDER BY position DESC LIMIT 1"
_ENTRIES = "SELECT entry FROM entries WHERE position > ? AND position <= ? ORDER BY position"


class _Head(NamedTuple):
    """A tree and its signatures; of one's own commit the tiles that became full with it, to be kept."""

    edge: RightEdge
    checkpoint: Checkpoint
    raw: Sequence[tuple[Signs, bytes]]
    full: Sequence[FullTile]

    @property
    def lines(self) -> tuple[Signature, ...]:
        return tuple(line(signer.key, raw, 0) for signer, raw in self.raw)

    @property
    def note(self) -> bytes:
        return bytes(SignedNote(self.checkpoint.text, self.lines))


class SqliteLog:
    """Implements `ports.Log`, and follows every commit of the control database."""

    def __init__(self, control: Control, keys: LogKeys) -> None:
        """Follow the commits of a control database; nothing is read until the first."""
        self._control = control
        self._keys = keys
        self._head: _Head | None = None  # of the last commit of this process
        self._looked: _Head | None = None  # of the last look that found entries of others
        self._looking = threading.Lock()
        self._replacements: dict[Position, LogProof] = {}
        control.follow(self)

    @property
    def origin(self) -> str:
        return self._keys.origin

    # --- following commits ------------------------------------------------------------------------

    def before_commit(self, connection: apsw.Connection) -> Callable[[], _Head] | None:
        """Keep the tiles that are full, and return what grows the tree by this transaction's entries."""
        last: Any = connection.execute(_LAST).fetchone() or (0, "", CHAIN_START)
        size, replaced, chain = last
        known = self._head
        if known is not None and size == known.edge.size:
            return None
        edge, full = (RightEdge(), ()) if known is None else (known.edge, known.full)
        memory = self._control.memory
        added = (
            memory.added(edge.size, size, chain) if isinstance(memory, SqliteTransaction) else None
        )
        if added is None:
            edge, more = _caught_up(connection, edge, size)
            full = (*full, *more)
        if full:  # some may be there already: another process appended after them
            connection.executemany(
                "INSERT OR IGNORE INTO tiles VALUES (?, ?, ?)",
                [(tile.level, tile.number, tile.hashes) for tile in full],
            )
        origin, signers = self.origin, self._keys.signers(connection, replaced, size)
        return lambda: _head(origin, edge, added or (), signers)

    def after_commit(self, made: _Head) -> None:
        """Let the new head count; whoever waits is told after this."""
        self._head = made

    # --- reading ----------------------------------------------------------------------------------

    def keys(self) -> tuple[LogKey, ...]:
        with self._control.read() as connection:
            return self._keys.public(connection, _state(connection)[1])

    def second_keys(self) -> tuple[LogKey, ...]:
        with self._control.read() as connection:
            return self._keys.second(connection, _state(connection)[1])

    def checkpoint(self) -> bytes:
        return self._current().note

    def proof(self, position: Position) -> LogProof:
        return self.proofs((position,))[0]

    def proofs(self, positions: Sequence[Position]) -> tuple[LogProof, ...]:
        current = self._current()
        edge, note = current.edge, current.note
        hash_at = TileHashes(self._read).at(edge)
        for position in positions:
            if not 0 < position <= edge.size:
                raise InputError(f"proof: no entry {position}; the ledger has {edge.size}")
        return tuple(
            LogProof(position - 1, inclusion_proof(position - 1, edge.size, hash_at), note)
            for position in positions
        )

    def root(self, size: int) -> bytes:
        newest = self._newest()  # before the snapshot, which has its tiles then
        with self._control.read() as connection:
            head = head_of(connection)
            if not 0 <= size <= head:
                raise InputError(f"tree: expected a size up to {head}, got {size}")
            known = newest.edge if newest is not None else RightEdge()
            if known.size < size:
                known, _ = _caught_up(connection, known, size)
            if known.size == size:
                return known.head().root
            return root_at(size, TileHashes(_reader(connection)).at(known))

    def sign(self, key: NoteKey, statement: Unsigned) -> bytes:
        if key not in {each.key for each in self.keys()}:
            raise InputError("sign: expected a key of this log")
        return self._keys.signer(key).sign(statement.message)

    def consistency(self, old: int, new: int) -> Proof:
        edge = self._current().edge
        if new > edge.size:
            raise InputError(f"proof: expected sizes up to {edge.size}, got {new}")
        if new == edge.size:
            return consistency_proof(old, new, TileHashes(self._read).at(edge))
        with self._control.read() as connection:
            then = _edge_at(connection, new)
        return consistency_proof(old, new, TileHashes(self._read).at(then))

    def tile(self, tile: TileId) -> bytes | None:
        edge = self._current().edge
        first = tile.number * WIDTH
        if tile.level == ENTRIES:
            return self._bundle(first, tile.width, edge.size)
        if tile.level >= len(edge.partial):
            return None
        count = edge.size >> 8 * tile.level
        if first + tile.width > count:
            return None
        is_last = first + WIDTH > count
        hashes = edge.partial[tile.level] if is_last else self._read(tile.level, tile.number)
        return hashes[: tile.width * HASH_BYTES]

    def _bundle(self, first: int, width: int, size: int) -> bytes | None:
        if first + width > size:
            return None
        with self._control.read() as connection:
            return bundle(
                entry for (entry,) in connection.execute(_ENTRIES, (first, first + width))
            )

    # --- replacing keys ---------------------------------------------------------------------------

    def new_keys(self) -> tuple[str, str]:
        return self._keys.new()

    def replacement(self, position: Position, seconds: int) -> LogProof:
        found = self._replacements.get(position)
        if found is None:
            found = self._replacement(position, seconds)
            if not self._control.is_inside:  # what a job added may be undone yet
                self._replacements[position] = found
        return found

    def _replacement(self, position: Position, seconds: int) -> LogProof:
        """Sign the tree that ends there, of which a commit may have signed a larger one only."""
        with self._control.read() as connection:
            replaced = _state(connection)[1]
            if position not in {each.first for each in self._keys.public(connection, replaced)[1:]}:
                raise InputError(f"keys: the entry {position} replaced none; ask for the keys")
            edge = _edge_at(connection, position)
            path = inclusion_proof(position - 1, position, TileHashes(_reader(connection)).at(edge))
            signers = (
                *self._keys.signers(connection, replaced, position),
                *self._keys.second_signers(connection, replaced, position),
            )
        note = signed(Checkpoint(self.origin, edge.head()), signers, seconds)
        return LogProof(position - 1, path, bytes(note))

    # --- checkpoints that are kept ----------------------------------------------------------------

    def keep(self, seconds: int) -> bytes:
        current = self._current()
        checkpoint, head = current.checkpoint, current.checkpoint.head
        if not head.size:
            raise InputError("checkpoint: the tree is empty; nothing is to be kept of it yet")
        with self._control.read() as connection:
            replaced = _state(connection)[1]
            signers = self._keys.second_signers(connection, replaced, head.size)
        lines = tuple(signature(signer, checkpoint, seconds) for signer in signers)
        whole = SignedNote(checkpoint.text, (*current.lines, *lines))
        return self._control.run(lambda connection: kept.add(connection, head.size, bytes(whole)))

    def kept(self, *, cosigned: bool = False) -> bytes | None:
        with self._control.read() as connection:
            return kept.newest(connection, cosigned=cosigned)

    def cosign(self, size: int, lines: Sequence[Signature]) -> None:
        self._control.run(lambda connection: kept.cosign(connection, size, lines))

    def verify(self, seen: Callable[[Position], None] | None = None) -> Position:
        with self._control.read() as connection:
            size = head_of(connection)
            edge = _edge_at(connection, size)

            def leaves() -> Iterator[list[bytes]]:
                for at in range(0, size, FAR):
                    if seen is not None:
                        seen(Position(at))
                    yield _leaves(connection, at, min(at + FAR, size))

            check_tiles(edge, leaves(), _reader(connection))
        return Position(size)

    def _current(self) -> _Head:
        """Return the tree of all that is durable now, signed."""
        with self._control.read() as connection:
            size, replaced = _state(connection)
            known = self._newest()
            if known is not None and known.edge.size >= size:
                return known
            edge, _ = _caught_up(connection, known.edge if known else RightEdge(), size)
            signers = self._keys.signers(connection, replaced, size)
            found = _head(self.origin, edge, (), signers)
        if not self._control.is_inside:  # what a job added may be undone yet
            self._look(found)
        return found

    def _newest(self) -> _Head | None:
        """Return the largest tree that this process has signed and whose entries are durable."""
        committed, looked = self._head, self._looked
        if committed is None or (looked is not None and looked.edge.size > committed.edge.size):
            return looked
        return committed

    def _look(self, found: _Head) -> None:
        """Remember a head, so that the next look starts there; of two threads the one that saw more.

        Commits keep their own: they are undone with what they added, and never wait for a reader.
        """
        with self._looking:
            if self._looked is None or self._looked.edge.size < found.edge.size:
                self._looked = found

    def _read(self, level: int, number: int) -> bytes:
        newest = self._head
        for tile in newest.full if newest is not None else ():
            if (tile.level, tile.number) == (level, number):
                return tile.hashes
        with self._control.read() as connection:
            return _reader(connection)(level, number)


def _head(origin: str, edge: RightEdge, added: Sequence[bytes], signers: Sequence[Signs]) -> _Head:
    """Return a tree with these entries added, signed; it reads nothing else and changes nothing."""
    edge, full = edge.grown(leaf_hashes(added))
    checkpoint = Checkpoint(origin, edge.head())
    raw = [(signer, signer.sign(message(signer.key, checkpoint, 0))) for signer in signers]
    return _Head(edge, checkpoint, raw, full)


def _caught_up(
    connection: apsw.Connection, edge: RightEdge, size: int
) -> tuple[RightEdge, list[FullTile]]:
    """Return the edge at a size, and the tiles that became full on the way.

    From far behind it begins after the last tile that is kept.
    """
    if size - edge.size > FAR and edge.size < (size & ~(WIDTH - 1)):
        stored = _last_kept(connection, 0)
        full = 0 if stored is None else (stored + 1) * WIDTH
        edge = _edge_at(connection, min(full, size & ~(WIDTH - 1)))
    if edge.size > size:
        raise VerificationError(
            f"tree: the ledger has {size} entries and {edge.size} were signed; it was cut off"
        )
    tiles: list[FullTile] = []
    while edge.size < size:
        until = min(size, edge.size + FAR)
        edge, more = edge.grown(_leaves(connection, edge.size, until))
        tiles += more
        if edge.size != until:
            raise VerificationError(f"tree: entry {edge.size + 1} is missing")
    return edge, tiles


def _edge_at(connection: apsw.Connection, size: int) -> RightEdge:
    """Rebuild the edge of a tree from the tiles and the entries after the last one."""
    return rebuilt(size, _leaves(connection, size - size % WIDTH, size), _reader(connection))


def _state(connection: apsw.Connection) -> tuple[int, str]:
    """Return the position of the last entry, and the replacements of the log's keys."""
    found: Any = connection.execute(_STATE).fetchone()
    size, replaced = found
    return size, replaced


def _leaves(connection: apsw.Connection, after: int, until: int) -> list[bytes]:
    """Return the leaf hashes of the entries after a position, up to another."""
    rows: Any = connection.execute(_ENTRIES, (after, until))
    return leaf_hashes(entry for (entry,) in rows)


def _reader(connection: apsw.Connection) -> ReadTile:
    """Return a reader of full tiles: of those that are kept, and of newer ones, which follow from below."""

    def read(level: int, number: int) -> bytes:
        found = connection.execute(
            "SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, number)
        ).get
        if found is None:
            last = _last_kept(connection, level)
            if last is None or number > last:
                return _followed(connection, read, level, number)
        if found is None or len(found) != TILE_BYTES:
            raise VerificationError(f"tile {level}/{number}: expected it among the stored tiles")
        return bytes(found)

    return read


def _last_kept(connection: apsw.Connection, level: int) -> int | None:
    """Return the number of the last tile of a level that is kept, None when there is none."""
    last: int | None = connection.execute(
        "SELECT max(number) FROM tiles WHERE level = ?", (level,)
    ).get
    return last


def _followed(connection: apsw.Connection, read: ReadTile, level: int, number: int) -> bytes:
    """Return a tile as it follows from the tiles below it, or from the entries."""
    first, after = number * WIDTH, (number + 1) * WIDTH
    if level:
        return over(level - 1, range(first, after), read)
    hashes = b"".join(_leaves(connection, first, after))
    if len(hashes) != TILE_BYTES:
        raise VerificationError(f"tile 0/{number}: entries are missing under it")
    return hashes

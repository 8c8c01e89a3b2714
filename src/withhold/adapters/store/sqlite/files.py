"""The registry of lake files and their consent vectors, in the control database.

A vector is a base and the growths since, all in rows of their own, so that a withdrawal writes the rows
it withholds and a few bytes a file, however much is withheld already. After `FOLD_AFTER` growths they are
folded into the base; the growths themselves stay, they are the file's history.

Invariants:
- growths, `applied` and the cursor move in one transaction, and only after the cursor was compared;
- a vector is what base and growths say *and* its digest covers; otherwise it is missing, and the whole
  file is withheld until a full decision replaces it.

Source: design section 4. The byte formats stand in `bits`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
from pyroaring import BitMap

from withhold.adapters.store.sqlite import bits as codec
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.withdrawn import withdrawn_between
from withhold.domain.admission import Reason
from withhold.domain.names import FileNo, Ordinal, Position, ProductId
from withhold.domain.vectors import Bits, ConsentVector
from withhold.errors import LedgerMoved, VerificationError
from withhold.ports import Applied, LakeFile, Withdrawn

FOLD_AFTER = 64
"""Growths of one vector before they are folded into its base."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A vector as read and checked, with what is needed to let it grow."""

    applied: Position
    growths: int
    newest: int  # the number of its newest growth
    chain: bytes
    bits: dict[Reason, BitMap]


class SqliteFiles:
    """`ports.Files` over the control database; any number of threads and processes."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def sealed(self, product: ProductId) -> Ordinal:
        """Return the first ordinal of the product that is in no registered file."""
        with self._control.read() as connection:
            return _sealed(connection, product)

    def register(self, file: LakeFile, vector: ConsentVector) -> LakeFile:
        """Add a file with its first vector; return it with its number."""

        def job(connection: apsw.Connection) -> LakeFile:
            if _sealed(connection, file.product) != file.first:
                raise LedgerMoved("these rows were sealed by another sealer; look again")
            if _cursor(connection) > vector.applied:
                raise LedgerMoved("withdrawals were applied meanwhile; decide the file again")
            connection.execute(
                "INSERT INTO files(product, sha256, size_bytes, rows, first) VALUES (?, ?, ?, ?, ?)",
                (file.product, file.sha256, file.size_bytes, file.rows, file.first),
            )
            no = FileNo(connection.last_insert_rowid())
            _begin(connection, no, vector)
            return LakeFile(no, file.product, file.sha256, file.size_bytes, file.rows, file.first)

        return self._control.run(job)

    def files(self, product: ProductId | None = None) -> Sequence[LakeFile]:
        """Return all registered files, in order of number."""
        with self._control.read() as connection:
            rows = connection.execute(
                "SELECT no, product, sha256, size_bytes, rows, first FROM files"
                " WHERE ?1 IS NULL OR product = ?1 ORDER BY no",
                (product,),
            )
            return [LakeFile(*row) for row in rows]

    def vectors(self, files: Iterable[FileNo]) -> Mapping[FileNo, ConsentVector | None]:
        """Return vectors as of one snapshot; None for a file whose vector is missing or damaged."""
        with self._control.read() as connection:
            cursor = _cursor(connection)
            found: dict[FileNo, ConsentVector | None] = {}
            for no in files:
                loaded = _load(connection, no)
                found[no] = (
                    None
                    if loaded is None
                    else ConsentVector(max(loaded.applied, cursor), loaded.bits)
                )
            return found

    def cursor(self) -> Position:
        """Return the position up to which every file has taken in every withdrawal."""
        with self._control.read() as connection:
            return _cursor(connection)

    def withdrawals(self, after: Position, to: Position) -> Withdrawn:
        """Return what entries in (after, to] withdrew."""
        with self._control.read() as connection:
            return withdrawn_between(connection, after, to)

    def deleted(self, file: LakeFile, to: Position) -> Sequence[int]:
        """Return the row numbers of a file that entries up to ``to`` deleted, ascending."""
        with self._control.read() as connection:
            rows = connection.execute(
                "SELECT DISTINCT ordinal FROM deleted_rows WHERE product = ? AND ordinal >= ?"
                " AND ordinal < ? AND position <= ? ORDER BY ordinal",
                (file.product, file.first, file.first + file.rows, to),
            )
            return [ordinal - file.first for (ordinal,) in rows]

    def apply(
        self,
        after: Position,
        to: Position,
        added: Mapping[FileNo, Bits | None],
        *,
        last: FileNo,
    ) -> None:
        """Union rows into vectors and move the cursor, in one transaction."""

        def job(connection: apsw.Connection) -> None:
            if _cursor(connection) != after:
                raise LedgerMoved("another applier was faster; look again")
            if _unseen(connection, last, to):
                raise LedgerMoved("a file was sealed meanwhile; look again")
            for no, bits in added.items():
                loaded = _load(connection, no)
                if bits is None or loaded is None:
                    connection.execute("DELETE FROM vectors WHERE file = ?", (no,))
                else:
                    _grow(connection, no, loaded, bits, to)
            connection.execute("UPDATE cursor SET position = ?", (to,))

        self._control.run(job)

    def replace(self, vectors: Mapping[FileNo, ConsentVector]) -> None:
        """Union full decisions into vectors, or give damaged ones anew, in one transaction."""

        def job(connection: apsw.Connection) -> None:
            cursor = _cursor(connection)
            if any(vector.applied < cursor for vector in vectors.values()):
                raise LedgerMoved("withdrawals were applied meanwhile; decide the files again")
            for file, vector in vectors.items():
                loaded = _load(connection, file)
                if loaded is not None:
                    _grow(connection, file, loaded, vector.bits, vector.applied)
                    continue
                for table in ("vectors", "bases", "growth"):
                    connection.execute(f"DELETE FROM {table} WHERE file = ?", (file,))
                _begin(connection, file, vector)

        self._control.run(job)

    def growth(self, file: FileNo) -> Sequence[Applied]:
        """Return how a file's vector grew, oldest first; the first item is its first decision."""
        with self._control.read() as connection:
            rows = connection.execute(
                "SELECT position, added FROM growth WHERE file = ? ORDER BY no", (file,)
            )
            return [Applied(Position(position), codec.unpack(added)) for position, added in rows]


def _sealed(connection: apsw.Connection, product: ProductId) -> Ordinal:
    end = connection.execute(
        "SELECT first + rows FROM files WHERE product = ? ORDER BY first DESC LIMIT 1", (product,)
    ).get
    return Ordinal(end or 0)


def _cursor(connection: apsw.Connection) -> Position:
    found = connection.execute("SELECT position FROM cursor").get
    if found is None:
        raise VerificationError(
            "files: up to where withdrawals are applied is not noted; restore the control database"
        )
    return Position(found)


def _unseen(connection: apsw.Connection, last: FileNo, to: Position) -> bool:
    """Return whether a file above ``last`` does not know everything up to ``to``.

    A file whose vector was given up counts as unseen: nobody can say what it knows.
    """
    return bool(
        connection.execute(
            "SELECT EXISTS (SELECT 1 FROM files LEFT JOIN vectors ON file = no"
            " WHERE no > ? AND (applied IS NULL OR applied < ?))",
            (last, to),
        ).get
    )


def _load(connection: apsw.Connection, no: FileNo) -> _Loaded | None:
    """Read and check a vector; None when anything of it is missing or damaged."""
    head = connection.execute(
        "SELECT applied, growths, digest FROM vectors WHERE file = ?", (no,)
    ).fetchone()
    if head is None:
        return None
    applied, growths, digest = head
    upto, base = connection.execute(
        "SELECT upto, bits FROM bases WHERE file = ?", (no,)
    ).fetchone() or (0, b"")
    grown: list[Any] = connection.execute(
        "SELECT no, position, added FROM growth WHERE file = ? AND no > ? ORDER BY no", (no, upto)
    ).fetchall()
    chain = codec.chain_start(base)
    for _, position, added in grown:
        chain = codec.chained(chain, position, added)
    if len(grown) != growths or codec.vector_digest(no, applied, growths, chain) != digest:
        return None
    try:
        parts = [codec.unpack(value) for value in (base, *(g[2] for g in grown)) if value]
    except VerificationError:
        return None
    newest = grown[-1][0] if grown else upto
    return _Loaded(applied, growths, newest, chain, codec.union(parts))


def _begin(connection: apsw.Connection, no: FileNo, vector: ConsentVector) -> None:
    empty = _Loaded(Position(0), 0, 0, codec.chain_start(b""), {})
    _write(connection, no, empty, codec.pack(vector.bits), vector.applied)


def _grow(
    connection: apsw.Connection, no: FileNo, loaded: _Loaded, bits: Bits, to: Position
) -> None:
    fresh = codec.without(bits, loaded.bits)
    if not fresh:
        return  # the cursor says what the vector knows
    if loaded.growths >= FOLD_AFTER:
        base = codec.pack(loaded.bits)
        connection.execute("REPLACE INTO bases VALUES (?, ?, ?)", (no, loaded.newest, base))
        loaded = _Loaded(loaded.applied, 0, loaded.newest, codec.chain_start(base), loaded.bits)
    _write(connection, no, loaded, codec.pack(fresh), to)


def _write(
    connection: apsw.Connection, no: FileNo, loaded: _Loaded, added: bytes, to: Position
) -> None:
    chain = codec.chained(loaded.chain, to, added)
    applied, growths = max(loaded.applied, to), loaded.growths + 1
    digest = codec.vector_digest(no, applied, growths, chain)
    connection.execute(
        "INSERT INTO growth(file, position, added) VALUES (?, ?, ?)", (no, to, added)
    )
    connection.execute("REPLACE INTO vectors VALUES (?, ?, ?, ?)", (no, applied, growths, digest))

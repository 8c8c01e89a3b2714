"""Applying withdrawals: what entries withdrew reaches the consent vectors of the lake's files.

    entries after the cursor -> parties and deleted rows -> rows, by each file's side index -> vectors

One small write serves every dataset. Vectors and cursor move in one transaction, compared with the
cursor it began at, so two appliers at once are harmless: the later one looks again. A file whose rows
cannot be looked up loses its vector and is withheld whole until a full decision replaces it.

Source: design section 4; I1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from withhold.domain.admission import Reason
from withhold.domain.fence import Deleted
from withhold.domain.names import FileNo, Position
from withhold.domain.vectors import Bits
from withhold.errors import LedgerMoved, VerificationError
from withhold.ports import ConsentTable, LakeFile, Ports, Withdrawn


def apply(ports: Ports) -> Position:
    """Bring every file's vector up to the head.

    Returns:
        The position every vector has reached; not below the head when this was called.

    Raises:
        VerificationError: what is noted of that cannot be so.
    """
    while True:
        cursor = ports.files.cursor()
        # Standings first, so that both say what stood at one position: exactly (cursor, to].
        table = ports.ledger.standings()
        if table.position < cursor:
            raise VerificationError(
                f"withdrawals: applied up to position {cursor:,}, which the ledger has not reached; "
                "restore the control database from a backup"
            )
        if table.position == cursor:
            return cursor
        withdrawn = ports.files.withdrawals(cursor, table.position)
        files = ports.files.files()
        added = {} if withdrawn.is_empty else _added(ports, files, withdrawn, table)
        last = files[-1].no if files else FileNo(0)
        try:
            ports.files.apply(cursor, table.position, added, last=last)
        except LedgerMoved:
            continue
        return table.position


def _added(
    ports: Ports, files: Sequence[LakeFile], withdrawn: Withdrawn, table: ConsentTable
) -> Mapping[FileNo, Bits | None]:
    def task(file: LakeFile) -> Bits | None:
        try:
            return ports.lake.touched(file, withdrawn.parties, table)
        except VerificationError:
            return None

    deleted = rows_by_file(files, withdrawn.deleted)
    added: dict[FileNo, Bits | None] = {}
    touched = ports.engine.map(task, files) if len(withdrawn.parties) else ({} for _ in files)
    for file, found in zip(files, touched, strict=True):
        bits = found
        if bits is not None and file.no in deleted:
            bits = {**bits, Reason.DELETED: ports.lake.row_set(deleted[file.no])}
        if bits is None or bits:
            added[file.no] = bits
    return added


def rows_by_file(files: Sequence[LakeFile], deleted: Sequence[Deleted]) -> dict[FileNo, list[int]]:
    """Return, per file, the row numbers of deleted rows; rows still in the log are in none."""
    if not deleted:
        return {}
    by_product: dict[str, list[LakeFile]] = {}
    for file in sorted(files, key=lambda f: f.first):
        by_product.setdefault(file.product, []).append(file)
    rows: dict[FileNo, list[int]] = {}
    for row in deleted:
        candidates = by_product.get(row.product, [])
        at = bisect_right(candidates, row.ordinal, key=lambda f: f.first) - 1
        if at >= 0 and row.ordinal < candidates[at].first + candidates[at].rows:
            file = candidates[at]
            rows.setdefault(file.no, []).append(row.ordinal - file.first)
    return rows

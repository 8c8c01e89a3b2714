"""Which stored rows use which document, row or conversation, by keyed hashes alone.

When a source proves to be older, or of more people, than was known, its users are found here. Only rows
that have sources are in it.

Not here: what is done about it (`services.reach`), the other tables of the capture store (`intake`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apsw

from withhold.domain.names import Position, ProductId
from withhold.ports import Trace, TraceKind, Use

TABLES = """
CREATE TABLE IF NOT EXISTS uses (
    source BLOB NOT NULL, user BLOB NOT NULL, kind INTEGER NOT NULL, product TEXT NOT NULL,
    position INTEGER NOT NULL, PRIMARY KEY (source, user)
) STRICT, WITHOUT ROWID;
"""


def put_uses(connection: apsw.Connection, uses: Iterable[Use]) -> None:
    """Keep uses; of one that is known already the higher position stays."""
    rows = [(u.source.key, u.user.key, int(u.user.kind), u.user.product, u.position) for u in uses]
    connection.executemany(
        "INSERT INTO uses VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET position = max(position, excluded.position)",
        sorted(rows),
    )


def users(connection: apsw.Connection, source: Trace, after: Position) -> Iterator[Trace]:
    """Yield what used a source at a position after this one."""
    found = connection.execute(
        "SELECT kind, product, user FROM uses WHERE source = ? AND position > ?",
        (source.key, after),
    )
    rows: list[Any] = found.fetchall()
    return (Trace(TraceKind(kind), ProductId(product), user) for kind, product, user in rows)

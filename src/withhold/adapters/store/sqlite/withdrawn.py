"""Reading from the ledger's tables what entries withdrew: for vectors, and for the fence.

A raised standing is any effect but an attested opening: OUT, and ON, which raises a party that was on
(a move). An opt-in lowers a standing; taking it for a raise costs a look and changes nothing, because
the rows below it are withheld already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import apsw
import numpy as np

from withhold.adapters.store.sqlite.codec import EFFECT
from withhold.domain.fence import Deleted, Raised, Withdrawal
from withhold.domain.names import Ordinal, PartyNo, Position, ProductId
from withhold.domain.standing import Becomes
from withhold.ports import Withdrawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EFFECTS = (
    "SELECT position, effects FROM entries"
    " WHERE position > ? AND position <= ? AND effects IS NOT NULL ORDER BY position"
)
_DELETED = (
    "SELECT position, product, ordinal FROM deleted_rows"
    " WHERE position > ? AND position <= ? ORDER BY position, product, ordinal"
)


def withdrawn_between(connection: apsw.Connection, after: Position, to: Position) -> Withdrawn:
    """Return what entries in (after, to] withdrew, as arrays."""
    blobs = [effects for _, effects in connection.execute(_EFFECTS, (after, to))]
    return Withdrawn(np.unique(_raised(b"".join(blobs))), list(_deleted(connection, after, to)))


def withdrawals_between(
    connection: apsw.Connection, after: Position, to: Position, most: int
) -> list[Withdrawal]:
    """Return at most ``most`` withdrawals by entries in (after, to], one value each."""
    found: list[Withdrawal] = []
    for position, effects in connection.execute(_EFFECTS, (after, to)):
        found += [Raised(Position(position), PartyNo(p)) for p in _raised(effects).tolist()]
        if len(found) >= most:
            return found[:most]
    for deleted in _deleted(connection, after, to):
        found.append(deleted)
        if len(found) >= most:
            break
    return found


def _raised(effects: bytes) -> NDArray[np.uint32]:
    pairs = np.frombuffer(effects, EFFECT)
    raised: NDArray[np.uint32] = pairs["party"][pairs["becomes"] != Becomes.NEVER_OUT]
    return raised


def _deleted(connection: apsw.Connection, after: Position, to: Position) -> Iterator[Deleted]:
    for position, product, ordinal in connection.execute(_DELETED, (after, to)):
        yield Deleted(Position(position), ProductId(product), Ordinal(ordinal))

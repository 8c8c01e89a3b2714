"""The fence: a dataset commits only if nobody in it was withdrawn since its files were decided.

Decided inside the ledger's own transaction. An entry that raised the standing of a party of one of the
files, or deleted one of their rows, after the cutoff closes the fence; then exactly those rows are
decided again and the commit is tried again. Unrelated entries never refuse a build, and builds never
refuse or delay an opt-out (design section 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from withhold.domain.names import Ordinal, PartyNo, Position, ProductId

TRIES_BEFORE_LOCK = 3
"""After so many closed fences the files are decided under the sequencer's lock."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A party whose standing an entry raised."""

    position: Position
    party: PartyNo


@dataclass(frozen=True, slots=True)
class Deleted:
    """A row that an entry deleted."""

    position: Position
    product: ProductId
    ordinal: Ordinal


Withdrawal = Raised | Deleted


@dataclass(frozen=True, slots=True)
class Open:
    """The dataset may commit."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The dataset may not commit: these entries withdrew something of its files."""

    positions: tuple[Position, ...]


def decide(since: Iterable[Withdrawal], concerns: Callable[[Withdrawal], bool]) -> Open | Closed:
    """Decide a commit.

    Args:
        since: every withdrawal by an entry after the cutoff the files were decided at.
        concerns: whether a withdrawal touches a file of the dataset; must answer yes when unsure.
    """
    positions = {w.position for w in since if concerns(w)}
    return Closed(tuple(sorted(positions))) if positions else Open()

"""Parts of a conversation that come late: after rows which are not older and may repeat them.

Rows may arrive in any order. When a row arrives that is older than rows its conversation already has,
those that repeat it should have carried its parties and its position: each that replays the conversation,
and each that had one of its messages first, as far as anybody knew (`KnownConversation.alone`).

Rows of one position have no order of their own: most turns of a chat share a head. Between them a row
repeats another when it holds something of the other's last turn, word for word. What stands before the last
turn is older, so turns that arrive in order are never taken for late ones.

Not here: copies of one id (`capture`), what becomes of those rows and of what repeats them (`reach`).
"""

from __future__ import annotations

from dataclasses import dataclass

from withhold.domain.interactions import Provenance
from withhold.domain.names import Position
from withhold.ports import KnownConversation, Trace
from withhold.services.resolution import Resolver


@dataclass(frozen=True, slots=True)
class Late:
    """What arrived after rows of its conversation that may repeat it.

    Attributes:
        provenance: whose content it is, and since when.
        own: its own position; rows below it do not repeat it.
        first: rows that had one of its messages, and repeated nothing until now.
        is_quiet: whether it can matter to nothing stored, today.
    """

    conversation: Trace
    provenance: Provenance
    own: Position
    first: frozenset[Trace]
    is_quiet: bool


def changes_nothing(late: Provenance, before: KnownConversation, resolver: Resolver) -> bool:
    """Return whether a late row cannot matter to anything stored: the common case.

    So it is in a conversation of one author about whom nothing changed since. With more of them each
    row may have others than the conversation has as a whole.
    """
    if len(late.authors) != 1 or late.authors != before.provenance.authors:
        return False
    return resolver.is_same(late, Provenance(late.authors, before.newest))

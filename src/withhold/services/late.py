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


@dataclass(frozen=True, slots=True)
class Late:
    """What arrived after rows of its conversation that may repeat it.

    Attributes:
        provenance: whose content it is, and since when.
        own: its own position; rows below it do not repeat it.
        first: rows that had one of its messages, and repeated nothing until now.
        is_quiet: whether whatever replays the conversation has all that it has.
    """

    conversation: Trace
    provenance: Provenance
    own: Position
    first: frozenset[Trace]
    is_quiet: bool


def adds_nothing(late: Provenance, before: KnownConversation) -> bool:
    """Return whether whatever replays a conversation has all that a late row has: the common case.

    So it is in a conversation of one author that is as old. With more of them each row may have others
    than the conversation has as a whole.
    """
    known = before.provenance
    is_alone = len(late.authors) == 1 and late.authors == known.authors
    return is_alone and late.position >= known.position

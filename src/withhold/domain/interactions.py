"""Interactions: what is captured, and what it repeats.

All input and output data is captured as interactions (A1): conversations, documents attached or
uploaded (A6), API calls and related data (A10), and feedback. A row that repeats earlier content (an
attachment, a rated or derived-from row, replayed turns of its conversation) carries the authors and the
lowest position of what it repeats (design section 1).

A row of a conversation that already has rows repeats it when it holds more than one turn, or a message
that the conversation already had: chat clients send the whole history with every turn.

Not here: decoding (`web.api`, `services.imports`), parties (`parties`), storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from withhold.domain.names import AccountId, OrganizationId, Position, ProductId
from withhold.domain.parties import Author
from withhold.domain.signals import Signal

MAX_ID_CHARS = 256
MAX_PARTICIPANTS = 256
MAX_SOURCES = 256  # attachments and derived-from ids of one row
MAX_MESSAGES = 4096
MAX_ROLE_CHARS = 64
MAX_ROW_BYTES = 16 * 1024 * 1024  # one line, before parsing
MAX_BODY_BYTES = 64 * 1024 * 1024  # one batch, before parsing
MAX_BATCH_ROWS = 100_000
MAX_MARKS = 4096  # messages remembered of one conversation; beyond, every row of it inherits

_ANSWERING = frozenset({"assistant", "model", "bot", "chatbot", "gpt", "ai", "tool", "function"})
_NOBODY = _ANSWERING | {"system", "developer"}  # roles that are no person's

BEFORE_ALL = Position(-1)
"""The position of what may never be used: below every standing, so that whatever repeats it is withheld."""


class InteractionKind(IntEnum):
    """What an interaction is; the value is its code in lake files."""

    CONVERSATION = 0  # one or more turns of a chat
    DOCUMENT = 1  # something attached or uploaded; input data of its uploader (A6)
    API_CALL = 2  # a request and its answer (A10)
    FEEDBACK = 3  # a rating or comment about another interaction; never overrides an opt-out


class Message(NamedTuple):
    """One turn's text."""

    role: str
    content: str


class Interaction(NamedTuple):
    """One captured unit, as the product reports it (contract, design section 8).

    A named tuple, like `Message`: there are thousands of each in a batch, and a frozen dataclass takes
    several times as long to make.

    Attributes:
        sha256: a document's own hash, 64 lower-case hex digits, by which others attach it.
        attachments: hashes of documents used in it.
        about: the interaction that feedback is about.
        derived_from: interactions whose content it repeats.
        token: a capture token taken before the content was accepted.
        refusals: the signals that came with it and refuse training, honoured or not.
    """

    id: str
    product: ProductId
    kind: InteractionKind
    account: AccountId
    messages: tuple[Message, ...]
    organization: OrganizationId | None = None
    participants: tuple[AccountId, ...] = ()
    conversation: str | None = None
    project: str | None = None
    api_key: str | None = None
    sha256: str | None = None
    attachments: tuple[str, ...] = ()
    about: str | None = None
    derived_from: tuple[str, ...] = ()
    token: str | None = None
    refusals: tuple[Signal, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the interactions it repeats or is about."""
        return self.derived_from if self.about is None else (*self.derived_from, self.about)

    @property
    def stands_alone(self) -> bool:
        """Whether it can repeat nothing: it names nothing and belongs to nothing that others repeat."""
        return (
            self.conversation is None
            and self.about is None
            and self.sha256 is None
            and not self.attachments
            and not self.derived_from
        )

    @property
    def names_something(self) -> bool:
        """Whether it names what it repeats, or is a document that others name."""
        return bool(
            self.attachments
            or self.derived_from
            or self.about is not None
            or self.sha256 is not None
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was refused; nothing of it was kept.

    Attributes:
        line: its number in the batch, 1-based.
        reason: what is wrong and what was expected; never content.
    """

    line: int
    reason: str


class Provenance(NamedTuple):
    """Whose content something is, and since when: what a row inherits from what it repeats.

    Attributes:
        authors: everyone whose content is in it.
        position: the lowest position at which anything in it was accepted.
    """

    authors: frozenset[Author]
    position: Position


def inherit(own: Provenance, repeated: Iterable[Provenance]) -> Provenance:
    """Return the provenance of a row: its own with that of all it repeats, at the lowest position."""
    everything = (own, *repeated)
    return Provenance(
        frozenset().union(*(p.authors for p in everything)),
        min(p.position for p in everything),
    )


def turns(messages: Sequence[Message]) -> int:
    """Return how many turns a row holds: how often a person speaks after something else did.

    An answer with no question before it belongs to a turn of its own.
    """
    count, was_person = 0, False
    for role, _ in messages:
        is_person = _is_person(role)
        begins = not was_person if is_person else not count and role.casefold() in _ANSWERING
        count += begins
        was_person = is_person
    return count


def _is_person(role: str) -> bool:
    """Return whether a role is that of whoever uses the product; one that is not known is."""
    return role == "user" or role.casefold() not in _NOBODY


def last_turn(messages: Sequence[Message]) -> Sequence[Message]:
    """Return what a row adds to its conversation when it replays the rest: its last turn."""
    for at in range(len(messages) - 1, 0, -1):
        if _is_person(messages[at].role) and not _is_person(messages[at - 1].role):
            return messages[at:]
    return messages


class IdState(IntEnum):
    """What is known of an interaction's id."""

    STORED = 0  # the row is in the lake or its log
    REFUSED = 1  # a party was out when it came; refused from then on, whatever anybody says later
    DELETED = 2  # it was deleted; never stored again
    SIGNALLED = 3  # an honoured signal that came with it refuses; refused from then on

    @property
    def is_refused(self) -> bool:
        """Whether it was not stored and never will be, for what held when it came."""
        return self in {IdState.REFUSED, IdState.SIGNALLED}

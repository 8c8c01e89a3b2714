"""Rows that were overtaken: stored before an earlier part of their conversation came to be known.

Rows may arrive in any order. When a row arrives that is older than rows its conversation already has,
those that repeat it should have carried its parties and its position. Where that would change nothing
they stay; otherwise they are withdrawn. A row that lies in a lake file is taken to repeat it: one row
too many is lost, never one too few withheld.

Not here: copies of one id (`capture`), documents and sources that come late (`docs/capture.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from withhold.domain.interactions import Message, Provenance, turns
from withhold.domain.names import Ordinal, PartyNo, Position, ProductId
from withhold.ports import KnownConversation, Ports, RowBatch
from withhold.services.resolution import Parties, Resolver


@dataclass(frozen=True, slots=True)
class Late:
    """A row that arrived after newer rows of its conversation.

    Attributes:
        provenance: whose content it is, and since when.
        marks: the marks of its messages.
    """

    product: ProductId
    conversation: str
    provenance: Provenance
    marks: frozenset[int]


def changes_nothing(
    late: Provenance, before: KnownConversation, product: ProductId, resolver: Resolver
) -> bool:
    """Return whether a late row cannot matter to anything stored: the cheap and common case.

    So it is in a conversation of the same authors about whom nothing changed since.
    """
    if late.authors != before.provenance.authors:
        return False
    then, is_admitted = resolver.resolve(late, product)
    now, _ = resolver.resolve(Provenance(late.authors, before.newest), product)
    return is_admitted and then == now


def overtaken(
    ports: Ports, late: Late, resolver: Resolver, mark: Callable[[str], int]
) -> Iterator[tuple[Ordinal, str]]:
    """Yield ordinal and id of the stored rows to withdraw, some twice.

    The log first and the files after: a row that is sealed meanwhile is met twice, never missed.
    """
    added, _ = resolver.resolve(late.provenance, late.product)

    def stays(parties: Parties, position: Position) -> bool:
        lowest = min(position, late.provenance.position)
        return set(added) <= set(parties) and resolver.admits(parties, lowest)

    for batch in ports.intake.unsealed(late.product, ports.files.sealed(late.product)):
        for row, conversation in enumerate(batch.conversations):
            if conversation == late.conversation and _repeats(batch, row, late.marks, mark):
                parties = tuple(PartyNo(p) for p in batch.party_sets[batch.set_nos[row]])
                if not stays(parties, Position(batch.positions[row])):
                    yield Ordinal(batch.first + row), batch.ids[row]
    for file in ports.files.files(late.product):
        for row in ports.lake.conversation(file, late.conversation):
            known = ports.lake.row(file, row)
            if not stays(known.parties, known.position):
                yield Ordinal(file.first + row), known.id


def _repeats(batch: RowBatch, row: int, marks: frozenset[int], mark: Callable[[str], int]) -> bool:
    messages = [
        Message(role, content)
        for role, content in zip(batch.roles[row], batch.contents[row], strict=True)
    ]
    return turns(messages) > 1 or any(mark(m.content) in marks for m in messages)

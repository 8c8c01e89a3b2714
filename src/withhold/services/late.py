"""Rows that were overtaken: stored before a part of their conversation that they repeat came to be known.

Rows may arrive in any order. When a row arrives that is older than rows its conversation already has,
those that repeat it should have carried its parties and its position. A row that lies in a lake file is
taken to repeat it: one row too many is lost, never one too few withheld.

Rows of one position have no order of their own: most turns of a chat share a head. Between them a row
is overtaken when it holds something of the other's last turn, word for word. What stands before the last
turn is older, so turns that arrive in order are never taken for late ones.

Not here: copies of one id (`capture`), what becomes of them and of what repeats them (`reach`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from withhold.domain.interactions import Message, Provenance, turns
from withhold.domain.names import Ordinal, ProductId
from withhold.ports import KnownConversation, LakeFile, Ports, RowBatch
from withhold.services.resolution import Resolver


@dataclass(frozen=True, slots=True)
class Late:
    """What arrived after rows of its conversation that may repeat it.

    Attributes:
        provenance: whose content it is, and since when.
        is_older: whether it is older than some of those rows; then each with several turns repeats it.
        marks: of the messages by which those that repeat it are known.
    """

    conversation: str
    provenance: Provenance
    is_older: bool
    marks: frozenset[int]


class Overtaken(NamedTuple):
    """A stored row that repeats a late one."""

    ordinal: Ordinal
    id: str
    late: Late


def changes_nothing(late: Provenance, before: KnownConversation, resolver: Resolver) -> bool:
    """Return whether a late row cannot matter to anything stored: the cheap and common case.

    So it is in a conversation of one author about whom nothing changed since. With more of them each
    row may have others than the conversation has as a whole.
    """
    if len(late.authors) != 1 or late.authors != before.provenance.authors:
        return False
    return resolver.is_same(late, Provenance(late.authors, before.newest))


def overtaken(
    ports: Ports,
    product: ProductId,
    late: Iterable[Late],
    new: RowBatch,
    marks: Callable[[Iterable[str]], frozenset[int]],
) -> Iterator[Overtaken]:
    """Yield the stored rows of a product that repeat late ones, some twice.

    Args:
        ports: the stores.
        product: whose rows.
        late: all that came late in a batch; everything stored is looked through once for all of it.
        new: the batch's own rows, which are not in the log yet.
        marks: the keyed hashes of messages.
    """
    search = _Search(ports, _merged(late), marks)
    # the log first and the files after: a row that is sealed meanwhile is met twice, never missed
    log = ports.intake.unsealed(product, ports.files.sealed(product))
    yield from search.in_log(chain((new,), log))
    yield from search.in_files(ports.files.files(product))


def _merged(late: Iterable[Late]) -> dict[str, list[Late]]:
    """Return what came late by conversation; what differs in its marks only, as one."""
    marks: dict[tuple[str, Provenance, bool], frozenset[int]] = {}
    for each in late:
        key = (each.conversation, each.provenance, each.is_older)
        marks[key] = marks.get(key, frozenset()) | each.marks
    by_name: dict[str, list[Late]] = {}
    for (name, provenance, is_older), some in marks.items():
        by_name.setdefault(name, []).append(Late(name, provenance, is_older, some))
    return by_name


class _Search:
    """Looks for rows of one product that late rows overtook."""

    def __init__(
        self,
        ports: Ports,
        late: dict[str, list[Late]],
        marks: Callable[[Iterable[str]], frozenset[int]],
    ) -> None:
        self._lake = ports.lake
        self._late = late
        self._marks = marks

    def in_log(self, batches: Iterable[RowBatch]) -> Iterator[Overtaken]:
        for batch in batches:
            for row, conversation in enumerate(batch.conversations):
                if conversation is not None and conversation in self._late:
                    for late in self._late[conversation]:
                        if self._repeats(batch, row, late):
                            yield Overtaken(Ordinal(batch.first + row), batch.ids[row], late)

    def in_files(self, files: Iterable[LakeFile]) -> Iterator[Overtaken]:
        for file in files:
            for conversation, causes in self._late.items():
                for row in self._lake.conversation(file, conversation):
                    known = self._lake.row(file, row)
                    for late in causes:
                        yield Overtaken(Ordinal(file.first + row), known.id, late)

    def _repeats(self, batch: RowBatch, row: int, late: Late) -> bool:
        contents = batch.contents[row]
        if late.is_older:
            pairs = zip(batch.roles[row], contents, strict=True)
            if turns([Message(role, content) for role, content in pairs]) > 1:
                return True
        return not late.marks.isdisjoint(self._marks(contents))

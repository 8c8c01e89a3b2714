"""Capture: which rows are kept, which are withheld, and what is remembered of both.

The rule (design section 1): a row carries all its parties and the lowest position at which anything in
it was accepted. A row of a party that is out is not stored; a keyed hash of its id stays, so that a
retry after an opt-in is refused too. A row that repeats something never captured is withheld.

Arrival order does not matter for rows with tokens: a copy that proves to be earlier than the stored row
takes its place. A copy never makes a row newer.

Positions: a row without a token is stamped with the head read *before* the batch waits for anything, so
that an opt-out and opt-in meanwhile cannot make it look newer than it is. Parties are resolved at a
snapshot taken inside the intake transaction, so snapshots follow each other in the order of batches.

So does a late part of a conversation: stored rows that repeat it are withdrawn where that matters
(`late`). A batch is taken in order of position, so its own order never matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from withhold.domain.interactions import (
    BEFORE_ALL,
    IdState,
    Interaction,
    InteractionKind,
    Provenance,
    Rejected,
    inherit,
)
from withhold.domain.ledger import DeletedRow
from withhold.domain.names import Position
from withhold.domain.tokens import mint
from withhold.errors import InputError
from withhold.ports import IntakeTransaction, KnownId, Ports
from withhold.services.capture_memory import Memory
from withhold.services.deleting import Deletion, delete_rows
from withhold.services.late import Late, changes_nothing, overtaken
from withhold.services.resolution import Resolver


@dataclass(frozen=True, slots=True)
class CaptureAnswer:
    """What became of a batch.

    Attributes:
        accepted: rows that are stored and durable.
        withheld: rows that were not stored, and never will be.
        duplicate: rows whose id is already stored or deleted.
        rejected: lines that were wrong; nothing of them was kept.
        position: the position that rows without a token were stamped with.
    """

    accepted: int
    withheld: int
    duplicate: int
    rejected: tuple[Rejected, ...]
    position: Position


class Outcome(Enum):
    """What became of one row."""

    ACCEPTED = "accepted"  # stored
    WITHHELD = "withheld"  # not stored; its id is refused from now on
    DUPLICATE = "duplicate"  # its id is stored or deleted already


def capture_token(ports: Ports) -> tuple[Position, str]:
    """Return the head and a capture token for it, to be taken before content is accepted."""
    head = ports.ledger.head()
    return head, mint(ports.ledger.token_key(), head)


def capture(
    ports: Ports,
    items: Iterable[Interaction | Rejected],
    *,
    history: bool = False,
    first_line: int = 1,
) -> CaptureAnswer:
    """Take in a batch: all of it is durable when this returns, or nothing is.

    Args:
        ports: the stores.
        items: rows in order of line; Rejected for lines that could not be decoded.
        history: rows without a token are of unknown age: position 0.
        first_line: the line of the first item.

    Raises:
        StorageError: the disk refused; nothing of the batch was kept.
        StateUnknown: the batch may have been kept; sending it again is harmless.
    """
    head = ports.ledger.head()
    lines = list(enumerate(items, first_line))
    with ports.intake.transaction() as kept, ports.ledger.directory() as directory:
        resolver = Resolver(ports.ledger, directory, Position(0) if history else head)
        return _Batch(ports, kept, resolver).take(lines, head)


class _Batch:
    """One batch on its way in."""

    def __init__(self, ports: Ports, kept: IntakeTransaction, resolver: Resolver) -> None:
        self._ports = ports
        self._kept = kept
        self._resolver = resolver
        self._deletions: list[Deletion] = []
        self._late: list[Late] = []

    def take(
        self, lines: list[tuple[int, Interaction | Rejected]], head: Position
    ) -> CaptureAnswer:
        self._memory = Memory(self._kept, (i for _, i in lines if isinstance(i, Interaction)))
        counts = dict.fromkeys(Outcome, 0)
        rejected = [item for _, item in lines if isinstance(item, Rejected)]
        for line, row, own in self._in_order(lines, rejected):
            try:
                counts[self._row(row, own)] += 1
            except InputError as error:
                rejected.append(Rejected(line, str(error)))
        self._memory.keep()
        for late in self._late:
            self._withdraw_overtaken(late)
        # before the intake commits: a crash between withdraws a row too many, never one too few
        delete_rows(self._ports, self._deletions)
        rejected.sort(key=lambda r: r.line)
        return CaptureAnswer(
            counts[Outcome.ACCEPTED],
            counts[Outcome.WITHHELD],
            counts[Outcome.DUPLICATE],
            tuple(rejected),
            head,
        )

    def _in_order(
        self, lines: list[tuple[int, Interaction | Rejected]], rejected: list[Rejected]
    ) -> list[tuple[int, Interaction, Provenance]]:
        """Return the rows by their own position, then as they came; adds those that are wrong."""
        rows: list[tuple[int, Interaction, Provenance]] = []
        for line, item in lines:
            if isinstance(item, Interaction):
                try:
                    _check_shape(item)
                    rows.append((line, item, self._resolver.own(item)))
                except InputError as error:
                    rejected.append(Rejected(line, str(error)))
        rows.sort(key=lambda r: r[2].position)
        return rows

    def _row(self, row: Interaction, own: Provenance) -> Outcome:
        """Take in one row; raises before anything is remembered of it."""
        known = self._memory.known(row)
        if known is None:
            return self._first(row, own)
        if known.state is IdState.REFUSED:
            return Outcome.WITHHELD
        if known.state is IdState.STORED and own.position < known.provenance.position:
            self._earlier_copy(row, own, known)
        return Outcome.DUPLICATE

    def _first(self, row: Interaction, own: Provenance) -> Outcome:
        sources = self._memory.sources(row)
        if sources is None:  # it repeats something unknown: so does whatever repeats it
            self._refuse(row, own, Provenance(own.authors, BEFORE_ALL))
            return Outcome.WITHHELD
        repeated = (*sources, *self._memory.repeated(row))
        return self._decide(row, own, inherit(own, repeated) if repeated else own)

    def _decide(self, row: Interaction, own: Provenance, provenance: Provenance) -> Outcome:
        parties, is_admitted = self._resolver.resolve(provenance, row.product)
        if not is_admitted:
            self._refuse(row, own, provenance)
            return Outcome.WITHHELD
        self._note(row, own, provenance)
        self._memory.store(row, provenance, parties)
        return Outcome.ACCEPTED

    def _refuse(self, row: Interaction, own: Provenance, provenance: Provenance) -> None:
        self._note(row, own, provenance)
        self._memory.put(row, KnownId(IdState.REFUSED, None, provenance))

    def _note(self, row: Interaction, own: Provenance, provenance: Provenance) -> None:
        """Remember what the row repeats from now on, and whether stored rows repeat it already."""
        before = self._memory.conversation(row)
        if (
            row.conversation is not None
            and before is not None
            and own.position < before.newest
            and not changes_nothing(provenance, before, row.product, self._resolver)
        ):
            marks = self._memory.marks(row.messages)
            self._late.append(Late(row.product, row.conversation, provenance, marks))
        self._memory.note(row, own, provenance)

    def _withdraw_overtaken(self, late: Late) -> None:
        """Withdraw stored rows that repeat a late one; what repeats them is withheld from now on."""
        rows = dict(overtaken(self._ports, late, self._resolver, self._kept.mark))
        if not rows:
            return
        known = self._kept.ids(late.product, rows.values())
        gone = {
            name: replace(k, state=IdState.DELETED)
            for name, k in known.items()
            if k.ordinal in rows  # else an earlier copy of this batch took its place
        }
        self._kept.put_ids(late.product, gone)
        subject = min(a.account for a in late.provenance.authors)
        deleted = tuple(DeletedRow(late.product, ordinal) for ordinal in sorted(rows))
        self._deletions.append(Deletion(subject, deleted))

    def _earlier_copy(self, row: Interaction, own: Provenance, known: KnownId) -> None:
        """Let a stored row behave as the copy of it that is earlier (S26).

        When nothing of its parties changed between the two positions and the copy is admitted, the row
        stays. Otherwise it is withdrawn and the copy takes its place, if it is admitted.
        """
        assert known.ordinal is not None
        sources = self._memory.sources(row)
        if sources is None:
            self._withdraw(row, known)
            self._refuse(row, own, Provenance(own.authors, BEFORE_ALL))
            return
        copy = inherit(own, (known.provenance, *sources))
        parties, is_admitted = self._resolver.resolve(copy, row.product)
        stored, _ = self._resolver.resolve(known.provenance, row.product)
        if is_admitted and parties == stored:
            self._note(row, own, copy)
            self._memory.put(row, KnownId(IdState.STORED, known.ordinal, copy))
            return
        self._withdraw(row, known)
        self._decide(row, own, copy)

    def _withdraw(self, row: Interaction, known: KnownId) -> None:
        assert known.ordinal is not None
        subject = min(a.account for a in known.provenance.authors)
        self._deletions.append(Deletion(subject, (DeletedRow(row.product, known.ordinal),)))


def _check_shape(row: Interaction) -> None:
    if row.kind is InteractionKind.DOCUMENT and row.sha256 is None:
        raise InputError("sha256: a document must carry its own hash, 64 hexadecimal digits")
    if row.kind is not InteractionKind.DOCUMENT and row.sha256 is not None:
        raise InputError("sha256: only a document has one; name used documents in attachments")
    if row.kind is InteractionKind.FEEDBACK and row.about is None:
        raise InputError("about: feedback must name the interaction it is about")

"""Capture: which rows are kept, which are withheld, and what is remembered of both.

The rule (design section 1): a row carries all its parties and the lowest position at which anything in
it was accepted. A row of a party that is out is not stored; a keyed hash of its id stays, so that a
retry after an opt-in is refused too. A row that repeats something never captured is withheld.

Arrival order does not matter for rows with tokens: a copy that proves to be earlier than the stored row, or
of more people, takes its place. A copy never makes a row newer.

Positions: a row without a token is stamped with the head read *before* the batch waits for anything (for
HTTP: before its body is read), so that an opt-out and opt-in meanwhile cannot make it look newer than it
is. Parties are resolved at a
snapshot taken inside the intake transaction, so snapshots follow each other in the order of batches.

Where a part of a conversation comes late, rows that repeat it are withdrawn if that matters to them
(`late`), those of the same batch as well. A batch is taken in order of position, so lines that are out of
that order lose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from withhold.domain.names import Position, ProductId
from withhold.domain.tokens import mint
from withhold.errors import InputError, UnknownAccount
from withhold.ports import (
    IntakeTransaction,
    KnownConversation,
    KnownId,
    Ports,
    Trace,
    TraceKind,
)
from withhold.services.capture_memory import Memory
from withhold.services.deleting import delete_rows
from withhold.services.late import Late, adds_nothing
from withhold.services.reach import Lowered, Reach
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
    head: Position | None = None,
    history: bool = False,
    first_line: int = 1,
) -> CaptureAnswer:
    """Take in a batch: all of it is durable when this returns, or nothing is.

    Args:
        ports: the stores.
        items: rows in order of line; Rejected for lines that could not be decoded.
        head: the ledger's head before any of it came, if it was read then; else it is read now.
        history: rows without a token are of unknown age: position 0.
        first_line: the line of the first item.

    Raises:
        StorageError: the disk refused; nothing of the batch was kept.
        StateUnknown: the batch may have been kept; sending it again is harmless.
    """
    if head is None:
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
        self._late: list[Late] = []
        self._unheard: list[Interaction] = []
        self._lowered: list[Lowered] = []
        self._copies: set[tuple[ProductId, str]] = set()

    def take(
        self, lines: list[tuple[int, Interaction | Rejected]], head: Position
    ) -> CaptureAnswer:
        rejected = [item for _, item in lines if isinstance(item, Rejected)]
        rows = self._in_order(lines, rejected)
        self._memory = Memory(self._kept, [*self._unheard, *(row for _, row, _ in rows)])
        self._reach = Reach(self._ports, self._kept, self._resolver, self._memory)
        outcomes: list[Outcome] = []
        for row in self._unheard:
            nobody = Provenance(frozenset(), self._resolver.position(row))
            self._note(row, nobody, nobody)
        for line, row, own in rows:
            try:
                outcomes.append(self._row(row, own))
            except InputError as error:
                rejected.append(Rejected(line, str(error)))
        self._memory.keep()
        self._follow_late()
        dropped = self._memory.store() - self._copies
        # before the intake commits: a crash between withdraws a row too many, never one too few
        delete_rows(self._ports, self._reach.deletions())
        rejected.sort(key=lambda r: r.line)
        return CaptureAnswer(
            outcomes.count(Outcome.ACCEPTED) - len(dropped),
            outcomes.count(Outcome.WITHHELD) + len(dropped),
            outcomes.count(Outcome.DUPLICATE),
            tuple(rejected),
            head,
        )

    def _in_order(
        self, lines: list[tuple[int, Interaction | Rejected]], rejected: list[Rejected]
    ) -> list[tuple[int, Interaction, Provenance]]:
        """Return the rows by their own position, then as they came; adds those that are wrong.

        Who is unknown is out: what repeats the words of somebody who is opened later is as old as they are.
        """
        rows: list[tuple[int, Interaction, Provenance]] = []
        for line, item in lines:
            if isinstance(item, Interaction):
                try:
                    if item.kind is not InteractionKind.CONVERSATION or item.sha256 is not None:
                        _check_shape(item)
                    rows.append((line, item, self._resolver.own(item)))
                except InputError as error:
                    rejected.append(Rejected(line, str(error)))
                    if isinstance(error, UnknownAccount) and item.conversation is not None:
                        self._unheard.append(_bare(item))
        rows.sort(key=lambda r: r[2].position)
        return rows

    def _row(self, row: Interaction, own: Provenance) -> Outcome:
        """Take in one row; raises before anything is remembered of it."""
        known = self._memory.known(row)
        if not own.authors:
            return self._never(row, own, known)
        if self._resolver.refuses(row):
            self._refuse_for_good(row, own, known, IdState.SIGNALLED)
            return Outcome.WITHHELD
        if known is None:
            return self._alone(row, own) if row.stands_alone else self._first(row, own)
        if own.position < known.own or self._says_more(row, own, known):
            self._earlier_copy(row, own, known)
        elif known.state is IdState.DELETED and not known.provenance.authors:
            self._deleted_before(row, own)
        return Outcome.WITHHELD if known.state.is_refused else Outcome.DUPLICATE

    def _never(self, row: Interaction, own: Provenance, known: KnownId | None) -> Outcome:
        """Refuse a row that may never be used, and whatever repeats it.

        A row that was stored while its product was offered stays when a copy of it comes later.
        """
        if known is not None and known.provenance.authors:
            if not self._resolver.offers(row.product):
                return Outcome.WITHHELD if known.state.is_refused else Outcome.DUPLICATE
            own = Provenance(known.provenance.authors, own.position)
        self._refuse_for_good(row, own, known, IdState.REFUSED)
        return Outcome.WITHHELD

    def _refuse_for_good(
        self, row: Interaction, own: Provenance, known: KnownId | None, state: IdState
    ) -> None:
        """Refuse a row of which neither itself nor what repeats it may ever be used.

        A copy that was stored before that was known is withdrawn: it does not matter which came first.
        """
        never = Provenance(own.authors, BEFORE_ALL)
        after = KnownId(state, None, never, own.position)
        if known is not None:
            own = Provenance(own.authors, min(own.position, known.own))
            self._lowered += [Lowered(trace, never) for trace in self._traces(row)]
            if known.state is IdState.DELETED:
                after = known
            elif known.state is not IdState.STORED or not self._reach.leave_out(row.product, known):
                # it is in the lake or its log, withheld
                after = after._replace(ordinal=known.ordinal)
            after = after._replace(provenance=never, own=own.position)
        self._note(row, own, never)
        self._memory.put(row, after)

    def _alone(self, row: Interaction, own: Provenance) -> Outcome:
        """Take in a row that repeats nothing: nothing is inherited and nothing else to be remembered."""
        parties, is_admitted = self._resolver.resolve(own, row.product)
        if is_admitted:
            self._memory.add(row, own, own, parties)
            return Outcome.ACCEPTED
        self._memory.put(row, KnownId(IdState.REFUSED, None, own, own.position))
        return Outcome.WITHHELD

    def _first(self, row: Interaction, own: Provenance) -> Outcome:
        provenance = self._provenance(row, own)
        if provenance is None:
            # it can never be used, and neither can what repeats it
            self._refuse(row, own, Provenance(own.authors, BEFORE_ALL))
            return Outcome.WITHHELD
        return self._decide(row, own, provenance)

    def _provenance(self, row: Interaction, own: Provenance) -> Provenance | None:
        """Return a row's own provenance with that of all it repeats; None if any was never captured."""
        sources = self._memory.sources(row)
        if sources is None:
            return None
        repeated = (*sources, *self._memory.repeated(row))
        return inherit(own, repeated) if repeated else own

    def _deleted_before(self, row: Interaction, own: Provenance) -> None:
        """Remember a row that was deleted before it came as if it had been deleted after that."""
        provenance = self._provenance(row, own) if row.sha256 is None else None
        if provenance is None:
            provenance = Provenance(own.authors, BEFORE_ALL)
        self._note(row, own, provenance)
        self._memory.put(row, KnownId(IdState.DELETED, None, provenance, own.position))

    def _decide(self, row: Interaction, own: Provenance, provenance: Provenance) -> Outcome:
        try:
            parties, is_admitted = self._resolver.resolve(provenance, row.product)
        except InputError:
            self._resolver.resolve(own, row.product)  # raises where the row itself is wrong
            provenance, is_admitted = Provenance(provenance.authors, BEFORE_ALL), False
        if not is_admitted:
            self._refuse(row, own, provenance)
            return Outcome.WITHHELD
        self._note(row, own, provenance)
        self._memory.add(row, own, provenance, parties)
        return Outcome.ACCEPTED

    def _refuse(self, row: Interaction, own: Provenance, provenance: Provenance) -> None:
        self._note(row, own, provenance)
        self._memory.put(row, KnownId(IdState.REFUSED, None, provenance, own.position))

    def _note(self, row: Interaction, own: Provenance, provenance: Provenance) -> None:
        """Remember what the row repeats from now on, and whether stored rows repeat it already."""
        before = self._memory.conversation(row)
        if before is not None and own.position <= before.newest:
            self._note_late(row, own, provenance, before)
        if row.sha256 is not None:
            # rows that used the document at later positions used this upload of it as well
            document = self._kept.trace(TraceKind.DOCUMENT, row.product, row.sha256)
            self._lowered.append(Lowered(document, provenance, own.position))
        self._memory.note(row, own, provenance)

    def _note_late(
        self, row: Interaction, own: Provenance, provenance: Provenance, before: KnownConversation
    ) -> None:
        assert row.conversation is not None
        marks = self._memory.repeatable(row, before, is_older=own.position < before.newest)
        if marks is None:
            return
        chat = self._kept.trace(TraceKind.CONVERSATION, row.product, row.conversation)
        keys = {before.alone[mark] for mark in marks if mark in before.alone}
        first = frozenset(Trace(TraceKind.ROW, row.product, key) for key in keys)
        is_quiet = adds_nothing(provenance, before)
        self._late.append(Late(chat, provenance, own.position, first, is_quiet))

    def _follow_late(self) -> None:
        """Let everything stored that repeats what came late have its parties and its position."""
        for late in self._late:
            self._lowered += self._reach.overtake(late)
        self._reach.follow(self._lowered)

    def _says_more(self, row: Interaction, own: Provenance, known: KnownId) -> bool:
        """Return whether a copy is of more people, uses something older, or what was never captured."""
        if not known.provenance.authors:
            return False
        if not self._memory.has_heard_of(row):
            return True
        sources = self._memory.sources(row) or ()
        copy = inherit(Provenance(own.authors, known.own), sources)
        before = known.provenance
        return not copy.authors <= before.authors or copy.position < before.position

    def _earlier_copy(self, row: Interaction, own: Provenance, known: KnownId) -> None:
        """Let a row, and all that repeats it, behave as the copy of it that is earlier, or says more (S26).

        Where that makes no difference to a stored row it stays. Otherwise it is withdrawn and the copy
        takes its place, if it is admitted.
        """
        own = Provenance(own.authors, min(own.position, known.own))
        sources = self._memory.sources(row)
        copy = Provenance(own.authors, BEFORE_ALL)
        if sources is not None:
            copy = inherit(own, (known.provenance, *sources))
        if copy != known.provenance:
            self._lowered += [Lowered(trace, copy) for trace in self._traces(row)]
        if known.state is not IdState.STORED or self._reach.stays(row.product, known, copy):
            self._note(row, own, copy)
            self._memory.put(row, known._replace(provenance=copy, own=own.position))
            return
        self._reach.leave_out(row.product, known)
        self._copies.add((row.product, row.id))
        if sources is None:
            self._refuse(row, own, copy)
        else:
            # its text is the copy's from now on, with what that replays
            self._decide(row, own, inherit(copy, self._memory.repeated(row)))

    def _traces(self, row: Interaction) -> Iterator[Trace]:
        """Yield by what others repeat a row."""
        yield self._kept.trace(TraceKind.ROW, row.product, row.id)
        if row.sha256 is not None:
            yield self._kept.trace(TraceKind.DOCUMENT, row.product, row.sha256)


def _bare(row: Interaction) -> Interaction:
    """Return a row as nothing but a part of its conversation."""
    return row._replace(sha256=None, attachments=(), about=None, derived_from=())


def _check_shape(row: Interaction) -> None:
    if row.kind is InteractionKind.DOCUMENT and row.sha256 is None:
        raise InputError("sha256: a document must carry its own hash, 64 hexadecimal digits")
    if row.kind is not InteractionKind.DOCUMENT and row.sha256 is not None:
        raise InputError("sha256: only a document has one; name used documents in attachments")
    if row.kind is InteractionKind.FEEDBACK and row.about is None:
        raise InputError("about: feedback must name the interaction it is about")

"""What is known while a batch is taken in: asked once at its start, changed row by row, kept at its end.

So a document and the row that attaches it, or two rows of one id, behave in one batch exactly as if they
had been sent one by one.

Not here: the decisions (`capture`), how it is stored (`ports.IntakeTransaction`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from withhold.domain.interactions import (
    MAX_MARKS,
    IdState,
    Interaction,
    Message,
    Provenance,
    inherit,
    last_turn,
    turns,
)
from withhold.domain.names import Ordinal, Position, ProductId
from withhold.ports import (
    NO_ROWS,
    IntakeTransaction,
    KnownConversation,
    KnownId,
    RowBatch,
    Trace,
    TraceKind,
    Use,
)
from withhold.services.resolution import Parties


class Memory:
    """Everything the rows of one batch may refer to, on top of an intake transaction."""

    def __init__(self, kept: IntakeTransaction, rows: Sequence[Interaction]) -> None:
        """Ask for all that these rows name."""
        self._kept = kept
        self._marked: tuple[tuple[Message, ...], frozenset[int]] = ((), frozenset())
        self._replay: tuple[Interaction | None, bool] = (None, False)
        by_product: dict[ProductId, list[Interaction]] = {}
        for row in rows:
            by_product.setdefault(row.product, []).append(row)
        naming = [row for row in rows if row.names_something]
        hashes = {sha256 for row in naming for sha256 in row.attachments}
        hashes |= {row.sha256 for row in naming if row.sha256 is not None}
        self._documents = dict(kept.documents(hashes)) if hashes else {}
        self._new_documents: dict[str, Provenance] = {}
        self._uses: list[Use] = []
        self._products = {p: _OfProduct(kept, p, some) for p, some in by_product.items()}

    def known(self, row: Interaction) -> KnownId | None:
        """Return what is known of the row's id."""
        return self._products[row.product].ids.get(row.id)

    def sources(self, row: Interaction) -> list[Provenance] | None:
        """Return the provenance of what the row names; None when any of it was never captured."""
        of_product = self._products[row.product]
        if row.conversation is not None:
            conversation = of_product.conversations.get(row.conversation)
            if conversation is not None and conversation.is_deleted:
                return None
        found: list[Provenance] = []
        if not row.names_something:
            return found
        for sha256 in row.attachments:
            document = self._documents.get(sha256)
            if document is None:
                return None
            found.append(document)
        for name in row.sources:
            source = of_product.ids.get(name)
            if source is None or source.state is not IdState.STORED:
                return None
            found.append(source.provenance)
        return found

    def has_heard_of(self, row: Interaction) -> bool:
        """Return whether all that a row names was captured and not refused; it may be deleted since."""
        ids = self._products[row.product].ids
        named = [ids.get(name) for name in row.sources]
        return all(sha256 in self._documents for sha256 in row.attachments) and not any(
            known is None or known.state.is_refused for known in named
        )

    def repeated(self, row: Interaction) -> Iterator[Provenance]:
        """Yield the provenance of what the row repeats without naming it.

        That is its conversation, when it replays some of it, and earlier uploads of the same document.
        """
        if row.sha256 is not None and row.sha256 in self._documents:
            yield self._documents[row.sha256]
        conversation = self.conversation(row)
        if conversation is not None and self._replays(row):
            yield conversation.provenance

    def _replays(self, row: Interaction) -> bool:
        """Return whether a row repeats something of its conversation; one too long to tell does.

        Asked twice for the row at hand, before what it says is noted, and found once.
        """
        if self._replay[0] is not row:
            before = self.conversation(row)
            marks = frozenset[int]() if before is None else before.marks
            replays = len(row.messages) > 1 and turns(row.messages) > 1
            # of what is not remembered nothing can be told
            replays = replays or max(1, len(row.messages)) + len(marks) > MAX_MARKS
            replays = replays or (bool(marks) and not marks.isdisjoint(self.marks(row.messages)))
            self._replay = (row, replays)
        return self._replay[1]

    def marks(self, messages: tuple[Message, ...]) -> frozenset[int]:
        """Return the marks of a row's messages; asked twice for the row at hand, hashed once."""
        if self._marked[0] is not messages:
            self._marked = (messages, self._kept.marks([m.content for m in messages]))
        return self._marked[1]

    def repeatable(
        self, row: Interaction, before: KnownConversation, *, is_older: bool
    ) -> frozenset[int] | None:
        """Return the marks by which rows that came before a late one may repeat it; None for no such row.

        Any message of a row that is older than some of them; of its last turn, when one at the same
        position had something of that already.
        """
        if is_older:
            return self.marks(row.messages)
        turn = last_turn(row.messages)
        marks = self.marks(row.messages)
        if len(turn) < len(row.messages):
            marks = self._kept.marks([m.content for m in turn])
        is_full = len(before.marks) >= MAX_MARKS
        return marks if is_full or not marks.isdisjoint(before.marks) else None

    def conversation(self, row: Interaction) -> KnownConversation | None:
        """Return what is known of the row's conversation."""
        if row.conversation is None:
            return None
        return self._products[row.product].conversations.get(row.conversation)

    def note(self, row: Interaction, own: Provenance, provenance: Provenance) -> None:
        """Remember whose content the row's document and conversation hold; rows kept or not."""
        replays = self._note_uses(row, own.position)
        if row.sha256 is not None:
            before = self._documents.get(row.sha256)
            merged = provenance if before is None else inherit(provenance, (before,))
            self._documents[row.sha256] = self._new_documents[row.sha256] = merged
        if row.conversation is not None:
            marks, alone = self.marks(row.messages), NO_ROWS
            if not replays:
                alone = dict.fromkeys(
                    marks, self._kept.trace(TraceKind.ROW, row.product, row.id).key
                )
            seen = KnownConversation(provenance, marks, own.position, is_deleted=False, alone=alone)
            self._products[row.product].note(row.conversation, seen)
            self._replay = (None, False)

    def put(self, row: Interaction, known: KnownId) -> None:
        """Remember what became of the row's id."""
        of_product = self._products[row.product]
        of_product.ids[row.id] = of_product.new_ids[row.id] = known

    def _note_uses(self, row: Interaction, position: Position) -> bool:
        """Remember what the row repeats, and what else others repeat when they repeat the row.

        Returns:
            Whether it repeats something of its conversation.
        """
        replays = row.conversation is not None and self._replays(row)
        if not replays and not row.names_something:
            return False
        trace, product = self._kept.trace, row.product
        user = trace(TraceKind.ROW, product, row.id)
        sources = [trace(TraceKind.DOCUMENT, product, sha256) for sha256 in row.attachments]
        sources += [trace(TraceKind.ROW, product, name) for name in row.sources]
        wholes: list[Trace] = []
        if row.sha256 is not None:
            wholes.append(trace(TraceKind.DOCUMENT, product, row.sha256))
            sources += wholes  # earlier uploads of the same bytes
        if row.conversation is not None:
            chat = trace(TraceKind.CONVERSATION, product, row.conversation)
            if sources:
                wholes.append(chat)
            if replays:
                sources.append(chat)
        self._uses += [Use(source, user, position) for source in sources]
        self._uses += [Use(user, whole, position) for whole in wholes]
        return replays

    def add(
        self, row: Interaction, own: Provenance, provenance: Provenance, parties: Parties
    ) -> None:
        """Add the row to the log and remember its id."""
        of_product = self._products[row.product]
        ordinal = of_product.add(row, provenance, parties)
        known = KnownId(IdState.STORED, ordinal, provenance, own.position)
        of_product.ids[row.id] = of_product.new_ids[row.id] = known

    def drop(self, product: ProductId, ordinal: Ordinal) -> bool:
        """Leave a row of this batch out of the log; return False for a row of an earlier one."""
        of_product = self._products.get(product)
        if of_product is None or ordinal < of_product.first:
            return False
        of_product.dropped.add(ordinal)
        return True

    def new_rows(self, product: ProductId) -> RowBatch | None:
        """Return the rows of a product that were added so far, None when the batch has none of it."""
        of_product = self._products.get(product)
        return None if of_product is None else of_product.batch()

    def keep(self) -> None:
        """Hand everything that is known now to the intake transaction, all but the rows."""
        for product, of_product in self._products.items():
            of_product.keep(self._kept, product)
        if self._new_documents:
            self._kept.put_documents(self._new_documents)
        if self._uses:
            self._kept.put_uses(self._uses)

    def store(self) -> set[tuple[ProductId, str]]:
        """Hand the rows to the intake transaction; return the ids of those that were dropped."""
        return {(p, name) for p, each in self._products.items() for name in each.store(self._kept)}


class _OfProduct:
    """The part of the memory that belongs to one product, and its new rows."""

    def __init__(
        self, kept: IntakeTransaction, product: ProductId, rows: Sequence[Interaction]
    ) -> None:
        ids = {row.id for row in rows}
        ids.update(name for row in rows if row.names_something for name in row.sources)
        chats = {row.conversation for row in rows if row.conversation is not None}
        self.ids = dict(kept.ids(product, ids))
        self.conversations = dict(kept.conversations(product, chats)) if chats else {}
        self.new_ids: dict[str, KnownId] = {}
        self.new_conversations: dict[str, KnownConversation] = {}
        self.dropped: set[Ordinal] = set()
        self.first = kept.next_ordinal(product)
        self._product = product
        self._rows: list[Interaction] = []
        self._positions: list[int] = []
        self._set_nos: list[int] = []
        self._sets: dict[Parties, int] = {}
        self._batch: RowBatch | None = None

    def add(self, row: Interaction, provenance: Provenance, parties: Parties) -> Ordinal:
        ordinal = Ordinal(self.first + len(self._rows))
        self._rows.append(row)
        self._positions.append(provenance.position)
        self._set_nos.append(self._sets.setdefault(parties, len(self._sets)))
        return ordinal

    def batch(self) -> RowBatch:
        """Return the rows that were added so far."""
        rows = self._rows
        if self._batch is None or len(self._batch.ids) != len(rows):
            self._batch = RowBatch(
                self._product,
                self.first,
                [row.id for row in rows],
                [row.kind for row in rows],
                [row.conversation for row in rows],
                [row.project for row in rows],
                [row.api_key for row in rows],
                [[role for role, _ in row.messages] for row in rows],
                [[content for _, content in row.messages] for row in rows],
                list(self._positions),
                list(self._sets),
                list(self._set_nos),
            )
        return self._batch

    def note(self, name: str, seen: KnownConversation) -> None:
        before = self.conversations.get(name)
        after = seen
        if before is not None:
            after = KnownConversation(
                _joined(seen.provenance, before.provenance),
                before.marks | seen.marks,
                max(before.newest, seen.newest),
                before.is_deleted,
                {**seen.alone, **before.alone} if seen.alone else before.alone,
            )
        if len(after.marks) > MAX_MARKS:
            # from now on every further row counts as a replay
            after = after._replace(marks=frozenset(sorted(after.marks)[:MAX_MARKS]))
        if after != before:
            self.conversations[name] = self.new_conversations[name] = after

    def keep(self, kept: IntakeTransaction, product: ProductId) -> None:
        if self.new_ids:
            kept.put_ids(product, self.new_ids)
        if self.new_conversations:
            kept.put_conversations(product, self.new_conversations)

    def store(self, kept: IntakeTransaction) -> list[str]:
        """Store the rows that were not dropped and return the ids of those that were."""
        whole = batch = self.batch()
        dropped = [whole.ids[ordinal - whole.first] for ordinal in sorted(self.dropped)]
        if dropped:
            batch = _without(whole, self.dropped)
            _renumber(kept, whole, batch)
        if batch.ids:
            kept.store(batch)
        return dropped


def _renumber(kept: IntakeTransaction, whole: RowBatch, batch: RowBatch) -> None:
    """Let ids name the ordinals their rows have now that there are fewer."""
    was = {name: whole.first + n for n, name in enumerate(whole.ids)}
    known = kept.ids(batch.product, batch.ids)
    numbered = {
        name: known[name]._replace(ordinal=Ordinal(batch.first + n))
        for n, name in enumerate(batch.ids)
        if known[name].ordinal == was[name]
    }
    kept.put_ids(batch.product, numbered)


def _without(batch: RowBatch, dropped: set[Ordinal]) -> RowBatch:
    stay = [n for n in range(len(batch.ids)) if batch.first + n not in dropped]
    return RowBatch(
        batch.product,
        batch.first,
        [batch.ids[n] for n in stay],
        [batch.kinds[n] for n in stay],
        [batch.conversations[n] for n in stay],
        [batch.projects[n] for n in stay],
        [batch.api_keys[n] for n in stay],
        [batch.roles[n] for n in stay],
        [batch.contents[n] for n in stay],
        [batch.positions[n] for n in stay],
        batch.party_sets,
        [batch.set_nos[n] for n in stay],
    )


def _joined(one: Provenance, other: Provenance) -> Provenance:
    return one if one == other else inherit(one, (other,))

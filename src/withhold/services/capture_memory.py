"""What is known while a batch is taken in: asked once at its start, changed row by row, kept at its end.

So a document and the row that attaches it, or two rows of one id, behave in one batch exactly as if they
had been sent one by one.

Not here: the decisions (`capture`), how it is stored (`ports.IntakeTransaction`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

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

    def __init__(self, kept: IntakeTransaction, rows: Iterable[Interaction]) -> None:
        """Ask for all that these rows name."""
        self._kept = kept
        self._marked: tuple[tuple[Message, ...], frozenset[int]] = ((), frozenset())
        self._products: dict[ProductId, _OfProduct] = {}
        hashes: set[str] = set()
        wanted: dict[ProductId, tuple[set[str], set[str]]] = {}
        for row in rows:
            ids, conversations = wanted.setdefault(row.product, (set(), set()))
            ids.add(row.id)
            ids.update(row.sources)
            if row.conversation is not None:
                conversations.add(row.conversation)
            hashes.update(row.attachments)
            if row.sha256 is not None:
                hashes.add(row.sha256)
        self._documents = dict(kept.documents(hashes)) if hashes else {}
        self._new_documents: dict[str, Provenance] = {}
        self._uses: list[Use] = []
        for product, (ids, conversations) in wanted.items():
            self._products[product] = _OfProduct(kept, product, ids, conversations)

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

    def repeated(self, row: Interaction) -> Iterator[Provenance]:
        """Yield the provenance of what the row repeats without naming it.

        That is its conversation, when it replays some of it, and earlier uploads of the same document.
        """
        if row.sha256 is not None and row.sha256 in self._documents:
            yield self._documents[row.sha256]
        if row.conversation is None:
            return
        conversation = self._products[row.product].conversations.get(row.conversation)
        if conversation is not None and self._replays(row.messages, conversation.marks):
            yield conversation.provenance

    def _replays(self, messages: tuple[Message, ...], marks: frozenset[int]) -> bool:
        """Return whether messages repeat earlier ones; a conversation too long to tell does."""
        if len(marks) >= MAX_MARKS or turns(messages) > 1:
            return True
        return not marks.isdisjoint(self.marks(messages))

    def marks(self, messages: tuple[Message, ...]) -> frozenset[int]:
        """Return the marks of a row's messages; asked twice for the row at hand, hashed once."""
        if self._marked[0] is not messages:
            self._marked = (messages, frozenset([self._kept.mark(m.content) for m in messages]))
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
        marks = frozenset([self._kept.mark(m.content) for m in last_turn(row.messages)])
        is_full = len(before.marks) >= MAX_MARKS
        return marks if is_full or not marks.isdisjoint(before.marks) else None

    def conversation(self, row: Interaction) -> KnownConversation | None:
        """Return what is known of the row's conversation."""
        if row.conversation is None:
            return None
        return self._products[row.product].conversations.get(row.conversation)

    def note(self, row: Interaction, own: Provenance, provenance: Provenance) -> None:
        """Remember whose content the row's document and conversation hold; rows kept or not."""
        if not row.stands_alone:
            self._uses += self._uses_of(row, own.position)
        if row.sha256 is not None:
            before = self._documents.get(row.sha256)
            merged = provenance if before is None else inherit(provenance, (before,))
            self._documents[row.sha256] = self._new_documents[row.sha256] = merged
        if row.conversation is not None:
            marks = self.marks(row.messages)
            seen = KnownConversation(provenance, _capped(marks), own.position, is_deleted=False)
            self._products[row.product].note(row.conversation, seen)

    def put(self, row: Interaction, known: KnownId) -> None:
        """Remember what became of the row's id."""
        of_product = self._products[row.product]
        of_product.ids[row.id] = of_product.new_ids[row.id] = known

    def _uses_of(self, row: Interaction, position: Position) -> Iterator[Use]:
        """Yield what the row repeats, and what else others repeat when they repeat the row."""
        trace, product = self._kept.trace, row.product
        sources = [trace(TraceKind.DOCUMENT, product, sha256) for sha256 in row.attachments]
        sources += [trace(TraceKind.ROW, product, name) for name in row.sources]
        wholes: list[Trace] = []
        if row.sha256 is not None:
            wholes.append(trace(TraceKind.DOCUMENT, product, row.sha256))
            sources += wholes  # earlier uploads of the same bytes
        if row.conversation is not None:
            before = self.conversation(row)
            chat = trace(TraceKind.CONVERSATION, product, row.conversation)
            if sources:
                wholes.append(chat)
            if self._replays(row.messages, frozenset() if before is None else before.marks):
                sources.append(chat)
        if sources:
            user = trace(TraceKind.ROW, product, row.id)
            yield from (Use(source, user, position) for source in sources)
            yield from (Use(user, whole, position) for whole in wholes)

    def add(
        self, row: Interaction, own: Provenance, provenance: Provenance, parties: Parties
    ) -> None:
        """Add the row to the log and remember its id."""
        ordinal = self._products[row.product].add(row, provenance, parties)
        self.put(row, KnownId(IdState.STORED, ordinal, provenance, own.position))

    def drop(self, product: ProductId, ordinal: Ordinal) -> bool:
        """Leave a row of this batch out of the log; return False for a row of an earlier one."""
        of_product = self._products.get(product)
        if of_product is None or ordinal < of_product.batch.first:
            return False
        of_product.dropped.add(ordinal)
        return True

    def new_rows(self, product: ProductId) -> RowBatch | None:
        """Return the rows of a product that were added so far, None when the batch has none of it."""
        of_product = self._products.get(product)
        return None if of_product is None else of_product.batch

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
        self, kept: IntakeTransaction, product: ProductId, ids: set[str], conversations: set[str]
    ) -> None:
        self.ids = dict(kept.ids(product, ids))
        self.conversations = (
            dict(kept.conversations(product, conversations)) if conversations else {}
        )
        self.new_ids: dict[str, KnownId] = {}
        self.new_conversations: dict[str, KnownConversation] = {}
        self.dropped: set[Ordinal] = set()
        self._sets: dict[Parties, int] = {}
        first = kept.next_ordinal(product)
        self.batch = RowBatch(product, first, [], [], [], [], [], [], [], [], [], [])

    def add(self, row: Interaction, provenance: Provenance, parties: Parties) -> Ordinal:
        batch = self.batch
        ordinal = Ordinal(batch.first + len(batch.ids))
        number = self._sets.get(parties)
        if number is None:
            number = self._sets[parties] = len(batch.party_sets)
            batch.party_sets.append(parties)
        batch.ids.append(row.id)
        batch.kinds.append(int(row.kind))
        batch.conversations.append(row.conversation)
        batch.projects.append(row.project)
        batch.api_keys.append(row.api_key)
        batch.roles.append([m.role for m in row.messages])
        batch.contents.append([m.content for m in row.messages])
        batch.positions.append(provenance.position)
        batch.set_nos.append(number)
        return ordinal

    def note(self, name: str, seen: KnownConversation) -> None:
        before = self.conversations.get(name)
        after = seen
        if before is not None:
            after = KnownConversation(
                inherit(seen.provenance, (before.provenance,)),
                _capped(before.marks | seen.marks),
                max(before.newest, seen.newest),
                before.is_deleted,
            )
        if after != before:
            self.conversations[name] = self.new_conversations[name] = after

    def keep(self, kept: IntakeTransaction, product: ProductId) -> None:
        if self.new_ids:
            kept.put_ids(product, self.new_ids)
        if self.new_conversations:
            kept.put_conversations(product, self.new_conversations)

    def store(self, kept: IntakeTransaction) -> list[str]:
        """Store the rows that were not dropped and return the ids of those that were."""
        whole = self.batch
        dropped = [whole.ids[ordinal - whole.first] for ordinal in sorted(self.dropped)]
        if dropped:
            self.batch = _without(whole, self.dropped)
            self._renumber(kept, whole)
        if self.batch.ids:
            kept.store(self.batch)
        return dropped

    def _renumber(self, kept: IntakeTransaction, whole: RowBatch) -> None:
        """Let ids name the ordinals their rows have now that there are fewer."""
        was = {name: whole.first + n for n, name in enumerate(whole.ids)}
        known = kept.ids(whole.product, self.batch.ids)
        numbered = {
            name: replace(known[name], ordinal=Ordinal(whole.first + n))
            for n, name in enumerate(self.batch.ids)
            if known[name].ordinal == was[name]
        }
        kept.put_ids(whole.product, numbered)


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


def _capped(marks: frozenset[int]) -> frozenset[int]:
    """Return at most MAX_MARKS marks; at the cap every further row counts as a replay."""
    return marks if len(marks) <= MAX_MARKS else frozenset(sorted(marks)[:MAX_MARKS])

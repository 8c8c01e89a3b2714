"""What a late source reaches: stored rows that repeat something which was older than anybody knew.

Rows may come in any order. When a document, a row or a part of a conversation proves to be older than was
known, or of more people, everything that repeats it should have carried that. So it is followed along
the uses that were kept, from rows to the documents and conversations they are part of and on to what
repeats those. A row that may stay as it is stored stays, and what it is from now on is remembered;
every other one is withdrawn. A row of the batch itself is left out of it instead, so that no entry of
the ledger names an ordinal that a failed batch would give to another row.

Uses are kept for every row that names a source, is a document or replays its conversation. Along them
everything counts, in whatever order it came: one row too many is lost, never one too few withheld.

Not here: what is late (`capture`, `late`), how a row is withdrawn (`deleting`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeGuard

from withhold.domain.interactions import BEFORE_ALL, IdState, Provenance, inherit
from withhold.domain.ledger import DeletedRow
from withhold.domain.names import Ordinal, PartyNo, Position, ProductId, SubjectNo
from withhold.errors import InputError, VerificationError
from withhold.ports import IntakeTransaction, KnownId, Ports, RowBatch, Trace, TraceKind, Use
from withhold.services.capture_memory import Memory
from withhold.services.deleting import Deletion
from withhold.services.late import Late
from withhold.services.resolution import Parties, Resolver


@dataclass(frozen=True, slots=True)
class Lowered:
    """A source that proved to be older, or of more people, than was known.

    Attributes:
        source: what it is.
        provenance: what everything that repeats it has as well.
        after: only uses at a position above this one are meant.
    """

    source: Trace
    provenance: Provenance
    after: Position = BEFORE_ALL


class Reach:
    """Follows what is lowered by one batch, once all else that is known of the batch is kept."""

    def __init__(
        self, ports: Ports, kept: IntakeTransaction, resolver: Resolver, memory: Memory
    ) -> None:
        self._ports = ports
        self._kept = kept
        self._resolver = resolver
        self._memory = memory
        self._withdrawn: dict[SubjectNo, list[DeletedRow]] = {}
        self._read: RowBatch | None = None

    def follow(self, lowered: Iterable[Lowered]) -> None:
        """Let everything that repeats these sources, by however many steps, have what they have."""
        waiting = deque(lowered)
        while waiting:
            each = waiting.popleft()
            for user in self._kept.users(each.source, each.after):
                if self._takes(user, each.provenance):
                    waiting.append(Lowered(user, each.provenance))

    def overtake(self, late: Late) -> list[Lowered]:
        """Let rows that had a late one's messages first count as repeating it; return what is lowered.

        That is kept also where it makes no difference to them today: what the late row repeats may prove to
        be older still, or of more people, and so may what repeats them.
        """
        lowered: list[Lowered] = []
        for row in late.first:
            known = self._kept.row(row)
            if known is not None and known.own >= late.own:
                self._kept.put_uses([Use(late.conversation, row, known.own)])
                if self._takes(row, late.provenance):
                    lowered.append(Lowered(row, late.provenance))
        if not late.is_quiet:
            after = Position(late.own - 1)
            lowered.append(Lowered(late.conversation, late.provenance, after))
        return lowered

    def stays(self, product: ProductId, known: KnownId, provenance: Provenance) -> bool:
        """Return whether a stored row may stay as it is, when this is its provenance from now on."""
        try:
            parties, is_admitted = self._resolver.resolve(provenance, product)
        except InputError:  # of somebody without a standing there
            return False
        if not is_admitted:
            return False
        if self._resolver.is_same(provenance, known.provenance):
            return True
        assert known.ordinal is not None
        stored = self._stored_parties(product, known.ordinal)
        return set(parties) <= set(stored) and self._resolver.admits(stored, provenance.position)

    def leave_out(self, product: ProductId, known: KnownId) -> bool:
        """Leave a stored row out of its batch, or withdraw it; return True for a row of this batch."""
        assert known.ordinal is not None
        if self._memory.drop(product, known.ordinal):
            return True
        keeper = min(a.account for a in known.provenance.authors)
        self._withdrawn.setdefault(keeper, []).append(DeletedRow(product, known.ordinal))
        return False

    def deletions(self) -> list[Deletion]:
        """Return everything that was withdrawn, by account."""
        return [Deletion(keeper, tuple(rows)) for keeper, rows in self._withdrawn.items()]

    def _takes(self, user: Trace, added: Provenance) -> bool:
        """Let a user have what its source has; return whether that may matter to its own users."""
        before = self._kept.provenance(user)
        if before is None:
            return False
        after = inherit(before, (added,))
        if user.kind is TraceKind.ROW:
            if after == before:
                return False
            self._row_takes(user, after)
        elif after != before:
            self._kept.put_provenance(user, after)
        return True

    def _row_takes(self, row: Trace, provenance: Provenance) -> None:
        known = self._kept.row(row)
        assert known is not None
        after = known._replace(provenance=provenance)
        if known.state is IdState.STORED and not self.stays(row.product, known, provenance):
            after = self._gone(row.product, known, after)
        self._kept.put_row(row, after)

    def _gone(self, product: ProductId, known: KnownId, after: KnownId) -> KnownId:
        if self.leave_out(product, known):
            return after._replace(state=IdState.REFUSED, ordinal=None)
        return after._replace(state=IdState.DELETED)

    def _stored_parties(self, product: ProductId, ordinal: Ordinal) -> Parties:
        """Return the parties a row was stored with; none, which admits nothing, if it is not found.

        The log first and the files after: a row that is sealed meanwhile is met in either.
        """
        new = self._memory.new_rows(product)
        batch = new if _holds(new, ordinal) else self._logged(product, ordinal)
        if batch is not None:
            numbers = batch.party_sets[batch.set_nos[ordinal - batch.first]]
            return tuple([PartyNo(p) for p in numbers])
        for file in self._ports.files.files(product):
            if file.first <= ordinal < file.first + file.rows:
                with suppress(VerificationError):  # it is withheld whole
                    return self._ports.lake.row(file, ordinal - file.first).parties
        return ()

    def _logged(self, product: ProductId, ordinal: Ordinal) -> RowBatch | None:
        read = self._read
        if read is None or read.product != product or not _holds(read, ordinal):
            read = self._read = next(self._ports.intake.unsealed(product, ordinal), None)
        return read if _holds(read, ordinal) else None


def _holds(batch: RowBatch | None, ordinal: Ordinal) -> TypeGuard[RowBatch]:
    return batch is not None and batch.first <= ordinal < batch.first + len(batch.ids)

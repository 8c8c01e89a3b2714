"""The ledger port: every choice, and the directory and standings derived from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from withhold.domain.admission import Standings
from withhold.domain.canonical_json import Json
from withhold.domain.directory import Directory, Subject
from withhold.domain.erasure import Past
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import PartyNo, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.policy import Policy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Clock(Protocol):
    """Time for people to read. It decides nothing."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an idempotency key was used for.

    Attributes:
        digest: a digest of the whole request (holder, product, body).
        position: the entry that the first answer named.
    """

    digest: bytes
    position: Position


class Transaction(Directory, Protocol):
    """The directory at the head, inside the sequencer's transaction, and the one way to add to it.

    Consistency: nobody else appends while a Transaction is in use. What `add` was given is visible to
    later reads of the same Transaction. If the change raises, nothing of it remains.
    """

    @property
    def next(self) -> Position:
        """The position the next added event will have."""
        ...

    def add(self, event: Event) -> Position:
        """Append an event with its effects, records and deletions; return its position."""
        ...

    def new_subject(self) -> SubjectNo:
        """Return a number no subject ever had."""
        ...

    def new_party(self, kind: PartyKind, product: ProductId, subject: SubjectNo | None) -> PartyNo:
        """Return a number no party ever had; ``subject`` is None for a plan's party."""
        ...

    def accounts(self, after: SubjectNo) -> Iterator[Subject]:
        """Yield every account and organisation above a number, in order, for what concerns all."""
        ...

    def named(self, after: Position, upto: Position) -> Sequence[SubjectNo]:
        """Return whose entries stand above one position and up to another, each once, in order."""
        ...

    def had(self, product: ProductId) -> bool:
        """Return whether any policy ever had plans of that product."""
        ...

    def past(self, subject: SubjectNo) -> Sequence[Past]:
        """Return what the entries of a subject did, oldest first."""
        ...

    def erased(self, record: Subject) -> None:
        """Forget a subject's name; only together with an ACCOUNT_ERASED event, which was added.

        From here on it is found by its number alone. What idempotency keys did for it is forgotten. Of the
        name a keyed hash is kept, for `erased_at` and nothing else.
        """
        ...

    def adopted(self, policy_text: str) -> None:
        """Make this text the policy in force; only together with a POLICY_ADOPTED event."""
        ...

    def recall(self, key: str) -> Remembered | None:
        """Return what an idempotency key was used for, None when it is new."""
        ...

    def remember(self, key: str, remembered: Remembered) -> None:
        """Keep what an idempotency key was used for."""
        ...


@dataclass(frozen=True, slots=True)
class Record:
    """An entry, opened: what a receipt is made of.

    Attributes:
        previous_chain: the 32-byte chain value before the entry.
        chain: the one after it.
        opening: ``r`` for a sealed event, None for a public one.
        event: the canonical bytes of the event body, in which nobody but the subject is named.
        hidden: its members that name somebody else; never given to the subject.
    """

    position: Position
    kind: EventKind
    entry: bytes
    previous_chain: bytes
    chain: bytes
    opening: bytes | None
    event: bytes
    hidden: Mapping[str, Json] = field(default_factory=dict)


class Outcome(Protocol[T_co]):
    """What became of a change that was submitted."""

    def get(self) -> T_co:
        """Return what the change returned, which is durable.

        Raises:
            StorageError, StateUnknown, WithholdError: as `Ledger.append` does.
        """
        ...


class ConsentTable(Standings, Protocol):
    """Every standing at one position, as arrays. A snapshot: it never changes after it was handed out."""

    @property
    def values(self) -> NDArray[np.uint64]:
        """``on_since + 1`` by party number; 0 means out, so that missing memory means out."""
        ...

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """`PartyKind` by party number; same length as `values`."""
        ...


class Ledger(Protocol):
    """The append-only log of every choice, with the directory and standings derived from it.

    Durability: when `append` returns, its entries and all their effects are on disk (fsync).
    Concurrency: any number of threads and processes; one transaction at a time, in an order that is the
    order of positions. Changes of several callers may share one disk flush (group commit). Opt-outs are
    never refused here.
    """

    def append(self, change: Callable[[Transaction], T]) -> T:
        """Run a change in the sequencer's transaction and return its result once it is durable.

        Args:
            change: a pure function of the Transaction; it may be run on another thread.

        Raises:
            StorageError: the disk refused; nothing was appended.
            StateUnknown: the commit was sent and not answered.
            WithholdError: whatever the change itself raised; nothing was appended.
        """
        ...

    def submit(
        self, change: Callable[[Transaction], T], tell: Callable[[Outcome[T]], None]
    ) -> None:
        """Ask for a change like `append`, for whoever may not block: an event loop.

        Args:
            change: a pure function of the Transaction; it is run on another thread.
            tell: called exactly once, on another thread and after the flush; it must neither block nor
                raise. It is called also when whoever asked is gone: what was asked for is done.

        Raises:
            StorageError: the ledger is closed; nothing was appended and nobody is told.
        """
        ...

    def head(self) -> Position:
        """Return the position of the last durable entry, by any process; 0 when there is none."""
        ...

    def directory(self) -> AbstractContextManager[Directory]:
        """Open a consistent snapshot of the directory at the head."""
        ...

    def standings(self) -> ConsentTable:
        """Return the consent table at a position not below the head when this was called."""
        ...

    def standings_at(self, position: Position) -> ConsentTable:
        """Rebuild the consent table at an earlier position from the entries alone."""
        ...

    def record(self, position: Position) -> Record | None:
        """Return an entry, opened, None when there is none at that position.

        Raises:
            EntryErased: its subject was erased.
            VerificationError: its body does not open, or the key is gone and nobody was erased.
        """
        ...

    def policy_at(self, position: Position) -> Policy:
        """Return the policy that was in force once the entry at a position was recorded.

        Raises:
            InputError: no policy was adopted by then.
        """
        ...

    def records_of(self, subject: SubjectNo) -> Iterator[Record]:
        """Yield the consent record of a subject, newest entry first.

        Raises:
            EntryErased, VerificationError: as `record`.
        """
        ...

    def purge(self, *, logs: bool = True) -> bool:
        """Delete what is left of erased subjects: their keys, durably, and all bytes of keys and names.

        Whatever crash came between the entry and this, calling it completes it; it costs little when
        nothing is left. True: all of it is gone. False: bytes of names are still in the database's log
        because somebody reads; or no key is deleted, because the gate is shut, or the entry that would
        erase somebody does not hold, or the keys are not those of this ledger. Whoever writes is not kept
        waiting for whoever reads; so the caller tries again, later each time.

        Args:
            logs: whether bytes are looked for in the database's log as well. Whoever only opens a home
                deletes the keys and leaves the rest.

        Raises:
            StorageError: the disk refused; some of it is left to do.
        """
        ...

    def erased_to(self) -> Position:
        """Return the entry of the last erasure that was purged, 0 for none.

        It is noted beside the keys, outside of the ledger. Where the ledger has no such entry it is older
        than its keys, or another one.
        """
        ...

    def first_record(self, subject: SubjectNo) -> Record:
        """Return the entry that opened a subject.

        Raises:
            VerificationError: there is none, or its key is gone.
        """
        ...

    def public_records(self, kinds: Collection[EventKind]) -> Iterator[Record]:
        """Yield the entries of these public kinds, in order; reads the whole ledger."""
        ...

    def accounts_of(self, parties: Collection[int]) -> NDArray[np.uint32]:
        """Return the accounts behind parties, ascending, each once; organisations and plans are left out.

        Args:
            parties: numbers of parties.
        """
        ...

    def verify(self, seen: Callable[[Position], None] | None = None) -> Position:
        """Recompute every entry and the directory that follows from them; return the head.

        Entries of erased subjects can no longer be opened. They stand in the chain, and what they did is
        held against the digest in the entry that erased them; nobody else's key may be missing.

        Args:
            seen: told now and then which position was reached.

        Raises:
            VerificationError: names the first position that does not hold, or what of accounts, plans,
                parties and policies does not follow from the entries.
        """
        ...

    def token_key(self) -> bytes:
        """Return the 32-byte key of capture tokens, made when the ledger was made."""
        ...

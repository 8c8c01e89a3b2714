"""What the services ask of the outside world. Each docstring is a contract.

Every public method raises only errors of `withhold.errors`; an adapter wraps what its libraries raise.
All methods are synchronous and may be called from any thread.

Two stores stand behind these ports. *The control store* (Ledger, Files, Datasets, Credentials) is one
database: everything that must hold together is one transaction there. *The capture store* (Intake) is a
second one, so that capturing never makes an opt-out wait. They meet at one number, the first ordinal
that is not yet sealed, and that number lives in the control store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from withhold.domain.admission import Standings
from withhold.domain.datasets import Dataset, DatasetRef, Manifest
from withhold.domain.directory import Directory, Subject
from withhold.domain.fence import Withdrawal
from withhold.domain.interactions import IdState, Provenance
from withhold.domain.ledger import Event, EventKind, Json
from withhold.domain.names import FileNo, Ordinal, PartyNo, Position, ProductId, SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.vectors import Bits, ConsentVector, RowSet

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

T = TypeVar("T")


class Clock(Protocol):
    """Time for people to read. It decides nothing."""

    def now_ms(self) -> int:
        """Return UTC milliseconds since 1970."""
        ...


# --- the control store ----------------------------------------------------------------------------


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

    def accounts(self) -> Iterator[Subject]:
        """Yield every account and organisation, for the rare change that concerns all."""
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
    """An entry, opened: what a receipt is made of until receipts are signed.

    Attributes:
        previous_chain: the 32-byte chain value before the entry.
        chain: the one after it.
        opening: ``r`` for a sealed event, None for a public one.
        event: the canonical bytes of the event body.
    """

    position: Position
    kind: EventKind
    entry: bytes
    previous_chain: bytes
    chain: bytes
    opening: bytes | None
    event: bytes


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
        """Return an entry, opened, None when there is none at that position."""
        ...

    def records_of(self, subject: SubjectNo) -> Iterator[Record]:
        """Yield the consent record of a subject, newest entry first."""
        ...

    def verify(self) -> Position:
        """Recompute chain, commitments and derived standings of every entry; return the head.

        Raises:
            VerificationError: names the first position that does not hold.
        """
        ...

    def token_key(self) -> bytes:
        """Return the 32-byte key of capture tokens, made when the ledger was made."""
        ...


@dataclass(frozen=True, slots=True)
class LakeFile:
    """An immutable file of rows of one product.

    Attributes:
        no: its number; 0 before it is registered.
        sha256: hex digest of its bytes, and its name.
        first: the ordinal of its first row; row i has ordinal ``first + i``.
    """

    no: FileNo
    product: ProductId
    sha256: str
    size_bytes: int
    rows: int
    first: Ordinal


@dataclass(frozen=True, slots=True)
class Applied:
    """One growth of a consent vector: which rows an application added, and at which position."""

    position: Position
    bits: Bits


class Files(Protocol):
    """The registry of lake files, their consent vectors, and the lake-wide cursor.

    A file's vector is known up to ``max(vector.applied, cursor)``. Every method that changes anything is
    one durable transaction of the control store.
    """

    def sealed(self, product: ProductId) -> Ordinal:
        """Return the first ordinal of the product that is in no registered file."""
        ...

    def register(self, file: LakeFile, vector: ConsentVector) -> LakeFile:
        """Add a file with its first vector; return it with its number.

        Raises:
            LedgerMoved: another sealer registered these ordinals, or the cursor is already past
                ``vector.applied``: decide again.
        """
        ...

    def files(self, product: ProductId | None = None) -> Sequence[LakeFile]:
        """Return all registered files, in order of number."""
        ...

    def vectors(self, files: Iterable[FileNo]) -> Mapping[FileNo, ConsentVector | None]:
        """Return vectors as of one snapshot; None for a file whose vector is missing or damaged.

        ``applied`` is given as ``max(vector.applied, cursor)``.
        """
        ...

    def cursor(self) -> Position:
        """Return the position up to which every file has taken in every withdrawal."""
        ...

    def withdrawals(self, after: Position) -> tuple[Position, Sequence[Withdrawal]]:
        """Return the head and every withdrawal by entries in (after, head], in order of position."""
        ...

    def apply(self, after: Position, to: Position, added: Mapping[FileNo, Bits]) -> None:
        """Union rows into vectors and move the cursor from ``after`` to ``to``, in one transaction.

        Raises:
            LedgerMoved: the cursor is not at ``after``, or a file was registered meanwhile with
                ``applied < to`` that ``added`` could not know of: look again.
        """
        ...

    def replace(self, file: FileNo, vector: ConsentVector) -> None:
        """Union a full decision into a vector, or give a damaged one anew.

        Raises:
            LedgerMoved: the cursor is past ``vector.applied``: decide again.
        """
        ...

    def growth(self, file: FileNo) -> Sequence[Applied]:
        """Return how a file's vector grew, oldest first; the first item is its first decision."""
        ...


class Datasets(Protocol):
    """Committed dataset versions. A version exists from its ledger entry on, never before."""

    def commit(self, manifest: Manifest, concerns: Callable[[Withdrawal], bool], recorded_at: int) -> Dataset:
        """Commit a version through the fence, in the ledger's own transaction.

        Raises:
            FenceClosed: withdrawals after ``manifest.cutoff`` touch its files.
            NameTaken: the version exists, with another manifest. (With the same manifest, the version
                that exists is returned: a retry after an unknown outcome yields one version.)
        """
        ...

    def commit_locked(self, prepare: Callable[[], Manifest], recorded_at: int) -> Dataset:
        """Hold the sequencer's lock, prepare the manifest at the head, and commit it.

        ``prepare`` runs while nobody appends; what it applies through `Files` joins the transaction.
        """
        ...

    def next_version(self, name: str) -> int:
        """Return the number the next version of this name will have."""
        ...

    def get(self, ref: DatasetRef) -> Dataset | None:
        """Return a version, None when there is none."""
        ...

    def all(self) -> Sequence[Dataset]:
        """Return every version, in order of commit."""
        ...


@dataclass(frozen=True, slots=True)
class Credential:
    """A bearer token as it is kept: by hash, with what it may reach."""

    name: str
    scopes: frozenset[str]


class Credentials(Protocol):
    """Bearer tokens of services. Only hashes are kept."""

    def add(self, token_hash: bytes, credential: Credential) -> None:
        """Keep a credential, durably."""
        ...

    def find(self, token_hash: bytes) -> Credential | None:
        """Return what a token may reach, None when it is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Reader:
    """An open reader of a dataset: listed so that people can be told (I1 for open readers)."""

    id: str
    dataset: str
    ends_at: int  # UTC milliseconds since 1970; shown, never compared to decide a yield


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """An export that was handed out: listed so that people can be told."""

    dataset: str
    position: Position
    rows: int
    recorded_at: int  # UTC milliseconds since 1970


class Readers(Protocol):
    """Who reads datasets now, and which exports were handed out."""

    def renew(self, reader: Reader) -> None:
        """Note that a reader is open until its lease ends."""
        ...

    def close(self, reader_id: str) -> None:
        """Forget a reader that has stopped."""
        ...

    def open(self, now_ms: int) -> Sequence[Reader]:
        """Return the readers whose lease has not ended."""
        ...

    def add_export(self, export: ExportRecord) -> None:
        """Note an export."""
        ...

    def exports(self) -> Sequence[ExportRecord]:
        """Return all exports, oldest first."""
        ...


# --- the capture store ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of one product in order of ordinal, as columns of equal length.

    Attributes:
        first: the ordinal of the first row; the others follow without gaps.
        kinds: codes of `InteractionKind`.
        roles, contents: per row, the messages' roles and texts.
        positions: each row's position, the lowest of anything in it.
        party_sets: the distinct party sets, each sorted.
        set_nos: per row, an index into ``party_sets``.
    """

    product: ProductId
    first: Ordinal
    ids: list[str]
    kinds: list[int]
    conversations: list[str | None]
    projects: list[str | None]
    api_keys: list[str | None]
    roles: list[list[str]]
    contents: list[list[str]]
    positions: list[int]
    party_sets: list[tuple[int, ...]]
    set_nos: list[int]


@dataclass(frozen=True, slots=True)
class KnownId:
    """What is known of an id.

    Attributes:
        ordinal: its row, None when it was refused.
        provenance: whose content it is; what rows that repeat it inherit.
    """

    state: IdState
    ordinal: Ordinal | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class KnownConversation:
    """What is known of a conversation.

    Attributes:
        marks: keyed hashes of the messages it had, so that repeated ones are recognised.
        is_deleted: it was deleted; nothing more of it is stored.
    """

    provenance: Provenance
    marks: frozenset[int]
    is_deleted: bool


class IntakeTransaction(Protocol):
    """One capture batch: what is known, and what is kept of it. Nothing is visible before it commits.

    Ids, hashes and conversation names are kept only as keyed hashes, outside the stored rows.
    """

    def ids(self, product: ProductId, ids: Iterable[str]) -> Mapping[str, KnownId]:
        """Return what is known of these ids; unknown ones are absent."""
        ...

    def documents(self, hashes: Iterable[str]) -> Mapping[str, Provenance]:
        """Return the provenance of documents captured in any product; unknown ones are absent."""
        ...

    def conversations(self, product: ProductId, names: Iterable[str]) -> Mapping[str, KnownConversation]:
        """Return what is known of these conversations; unknown ones are absent."""
        ...

    def mark(self, text: str) -> int:
        """Return the keyed hash of a message's text, a 64-bit integer."""
        ...

    def next_ordinal(self, product: ProductId) -> Ordinal:
        """Return the ordinal the next stored row of the product will have."""
        ...

    def store(self, batch: RowBatch) -> None:
        """Append rows to the write-ahead log."""
        ...

    def put_ids(self, product: ProductId, known: Mapping[str, KnownId]) -> None:
        """Keep what became of ids; replaces what was known of them."""
        ...

    def put_documents(self, known: Mapping[str, Provenance]) -> None:
        """Keep the provenance of documents; replaces what was known of them."""
        ...

    def put_conversations(self, product: ProductId, known: Mapping[str, KnownConversation]) -> None:
        """Keep what is known of conversations; replaces what was known of them."""
        ...


class Intake(Protocol):
    """The write-ahead log of captured rows, and what is known of ids, documents and conversations.

    Durability: when `transaction` has been left without an error, everything put into it is on disk.
    Concurrency: one transaction at a time, by any thread of any process; readers never wait.
    """

    def transaction(self) -> AbstractContextManager[IntakeTransaction]:
        """Open a batch; leaving it commits, an exception leaves no trace.

        Raises:
            StorageError: the disk refused; nothing of the batch was kept.
        """
        ...

    def end(self, product: ProductId) -> Ordinal:
        """Return the ordinal after the last durable row of the product."""
        ...

    def unsealed(self, product: ProductId, first: Ordinal) -> Iterator[RowBatch]:
        """Yield the durable rows from ``first`` on, in order, in batches of bounded size."""
        ...

    def trim(self, product: ProductId, before: Ordinal) -> None:
        """Drop rows below an ordinal that are sealed in a registered file. Repeating it is harmless."""
        ...

    def find(self, product: ProductId, row_id: str) -> KnownId | None:
        """Return what is known of one id."""
        ...


# --- the lake -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LakeRow:
    """One row as the lake knows it, for explanations."""

    id: str
    file: LakeFile
    row: int
    position: Position
    parties: tuple[PartyNo, ...]


class Lake(Protocol):
    """Immutable, content-addressed files of rows, each with a side index party -> row numbers.

    Durability: `write` returns once file and side index are on disk under their final names. A file is
    never changed; writing the same rows twice gives the same name. Content is never logged.
    """

    def write(self, batches: Iterable[RowBatch]) -> LakeFile:
        """Write consecutive batches of one product into one file (``no`` 0); memory stays bounded."""
        ...

    def verify(self, file: LakeFile) -> None:
        """Check the file's length and hash.

        Raises:
            VerificationError: it is missing, truncated or altered.
        """
        ...

    def decide(self, file: LakeFile, table: ConsentTable) -> Bits:
        """Decide every row of a file by its parties: the full decision, read from the file itself.

        Deletions are not the file's to know: the caller adds them.

        Raises:
            VerificationError: the file cannot be read; the caller withholds it whole.
        """
        ...

    def touched(self, file: LakeFile, raised: Sequence[PartyNo], table: ConsentTable) -> Bits:
        """Return the rows of these parties that the table withholds, through the side index."""
        ...

    def holds(self, file: LakeFile, parties: Sequence[PartyNo]) -> bool:
        """Return whether any row of the file has any of these parties."""
        ...

    def rows_of(self, file: LakeFile, parties: Sequence[PartyNo]) -> RowSet:
        """Return the rows of a file that have any of these parties."""
        ...

    def row(self, file: LakeFile, row: int) -> LakeRow:
        """Return one row's position and parties."""
        ...

    def conversation(self, file: LakeFile, name: str) -> RowSet:
        """Return the rows of a conversation."""
        ...

    def row_set(self, rows: Iterable[int]) -> RowSet:
        """Return a set of row numbers."""
        ...

    def batches(self, file: LakeFile, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Yield the file's rows in order; every batch but the last has ``batch_rows`` rows."""
        ...


class Engine(Protocol):
    """Where work on files runs. Tasks are idempotent per file."""

    def map(self, task: Callable[[LakeFile], T], files: Sequence[LakeFile]) -> Iterator[T]:
        """Run a task on every file, several at a time, and yield results in the order of the files."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a service may ask for; put together once, in `app` (or by a test, from fakes)."""

    clock: Clock
    ledger: Ledger
    files: Files
    datasets: Datasets
    readers: Readers
    credentials: Credentials
    intake: Intake
    lake: Lake
    engine: Engine

"""Looking things up: where somebody's rows are, why a row is admitted or withheld, what a version yields.

Every answer first applies what was withdrawn, so it holds at a position not below the head when it was
asked. Positions at which rows were withdrawn come from the growth of the files' vectors.

Source: design sections 4, 7 and 8 (``where``, ``explain``, ``show``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from withhold.domain.admission import REASON_OF_KIND, Admitted, Reason, Verdict, Withheld, admit
from withhold.domain.datasets import Dataset, DatasetRef
from withhold.domain.directory import Directory, Subject, SubjectKind
from withhold.domain.interactions import IdState
from withhold.domain.names import AccountId, FileNo, Ordinal, PartyNo, Position, ProductId
from withhold.domain.standing import Standing, admits
from withhold.domain.vectors import ConsentVector, RowSet, counts, withheld
from withhold.errors import UnknownDataset, UnknownRow
from withhold.ports import ConsentTable, KnownId, LakeFile, Ports
from withhold.services import withdrawals
from withhold.services.preferences import unknown


@dataclass(frozen=True, slots=True)
class DatasetRows:
    """An account's rows in one dataset version.

    Attributes:
        rows: rows of the account that the version yields now.
        withdrawn: (position, rows) of those it yielded when it was committed and no longer does; known
            to be withheld from that position on.
    """

    dataset: Dataset
    rows: int
    withdrawn: tuple[tuple[Position, int], ...]


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A version as committed, and what it yields at ``position``.

    Attributes:
        admitted: rows yielded now.
        withheld: rows withheld now per reason, each row counted once.
        withdrawn: rows that were admitted at the commit and are withheld now.
    """

    dataset: Dataset
    position: Position
    admitted: int
    withheld: Mapping[Reason, int]

    @property
    def withdrawn(self) -> int:
        """Rows that were admitted at the commit and are withheld now."""
        return self.dataset.manifest.admitted - self.admitted


@dataclass(frozen=True, slots=True)
class PartyView:
    """One party of a row.

    Attributes:
        holder: what can be out, in words: ``account ana``, ``default of vibe free``.
        reason: what the row is withheld for when this party is against it.
        on_since: its standing now; see `domain.standing`.
        admits: whether it lets the row be used.
    """

    party: PartyNo
    holder: str
    reason: Reason
    on_since: Standing
    admits: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a row is admitted or withheld.

    Attributes:
        state: what became of the id: ``sealed``, ``unsealed``, ``refused`` or ``deleted``.
        verdict: the decision at ``decided_at``; None when nothing of the row is stored.
        position: the row's own position.
        file: hex digest of the lake file that holds it, None while it is in the log or not stored.
        datasets: the versions that yield the row now.
        is_signalled: whether it was refused for a signal that came with it.
    """

    id: str
    product: ProductId
    state: str
    verdict: Verdict | None
    position: Position
    decided_at: Position
    parties: tuple[PartyView, ...]
    file: str | None
    row: int | None
    datasets: tuple[str, ...]
    is_signalled: bool = False


def where(ports: Ports, account: AccountId) -> tuple[DatasetRows, ...]:
    """Return every dataset version that holds or held rows of an account, in order of commit.

    Raises:
        UnknownAccount: there is no such account.
    """
    with ports.ledger.directory() as directory:
        subject = directory.find(SubjectKind.ACCOUNT, account)
    if subject is None:
        raise unknown(SubjectKind.ACCOUNT, account)
    return where_of(ports, [holding.party for holding in subject.holdings.values()])


def where_of(ports: Ports, parties: Sequence[PartyNo]) -> tuple[DatasetRows, ...]:
    """Return every dataset version that holds or held rows of any of these parties."""
    withdrawals.apply(ports)
    files = {file.no: file for file in ports.files.files()}
    held = {no: ports.lake.rows_of(file, parties) for no, file in files.items()}
    held = {no: rows for no, rows in held.items() if len(rows)}
    vectors = ports.files.vectors(held)
    found = []
    for dataset in ports.datasets.all():
        rows, withdrawn = 0, dict[Position, int]()
        for no in (f.no for f in dataset.manifest.files if f.no in held):
            vector = vectors[no]
            out = withheld(vector.bits) if vector else held[no]
            rows += len(held[no] if out is None else held[no] - out)
            for position, more in _withdrawn_since(ports, no, dataset.position):
                lost = len(held[no] & more)
                if lost:
                    withdrawn[position] = withdrawn.get(position, 0) + lost
        if rows or withdrawn:
            found.append(DatasetRows(dataset, rows, tuple(sorted(withdrawn.items()))))
    return tuple(found)


def _withdrawn_since(
    ports: Ports, no: FileNo, commit: Position
) -> Iterator[tuple[Position, RowSet]]:
    """Yield the rows that were first withheld after a commit, with the position it was known at."""
    before: RowSet | None = None
    for grown in ports.files.growth(no):
        rows = withheld(grown.bits)
        if rows is None:
            continue
        if grown.position > commit:
            yield grown.position, rows if before is None else rows - before
        before = rows if before is None else before | rows


def show(ports: Ports, ref: DatasetRef) -> DatasetView:
    """Return a version and what it yields now.

    Raises:
        UnknownDataset: there is no such version.
    """
    dataset = ports.datasets.get(ref)
    if dataset is None:
        raise UnknownDataset(f"no dataset {ref}; `withhold datasets` lists all")
    position = withdrawals.apply(ports)
    files = dataset.manifest.files
    vectors = ports.files.vectors([f.no for f in files])
    totals: dict[Reason, int] = {}
    for file in files:
        vector = vectors[file.no]
        found = {Reason.UNREADABLE: file.rows} if vector is None else counts(vector.bits)
        for reason, rows in found.items():
            totals[reason] = totals.get(reason, 0) + rows
    admitted = sum(f.selected for f in files) - sum(totals.values())
    ordered = {reason: totals[reason] for reason in Reason if reason in totals}
    return DatasetView(dataset, position, admitted, ordered)


def explain(ports: Ports, row_id: str, product: ProductId | None = None) -> Explanation:
    """Say why a row is admitted or withheld.

    Args:
        product: where to look; every product when None.

    Raises:
        UnknownRow: no product knows the id.
    """
    with ports.ledger.directory() as directory:
        products = [p.id for p in directory.policy.products] if product is None else [product]
    for each in products:
        known = ports.intake.find(each, row_id)
        if known is not None:
            return _explained(ports, each, row_id, known)
    raise UnknownRow("no interaction of that id was captured; ids are unique per product")


def _explained(ports: Ports, product: ProductId, row_id: str, known: KnownId) -> Explanation:
    at = withdrawals.apply(ports)
    signalled = known.state is IdState.SIGNALLED
    if known.ordinal is None:
        position = known.own if signalled else known.provenance.position
        return Explanation(
            row_id, product, "refused", None, position, at, (), None, None, (), signalled
        )
    table = ports.ledger.standings()
    file = _file_of(ports.files.files(product), known.ordinal)
    if file is None:
        return _explained_unsealed(ports, product, row_id, known, table)
    row = known.ordinal - file.first
    found = ports.lake.row(file, row)
    vector = ports.files.vectors([file.no])[file.no]
    verdict = _verdict(vector, row, found.parties, found.position, table)
    views = tuple(_party_views(ports, known, found.parties, found.position, table))
    datasets = _yielding(ports, file) if isinstance(verdict, Admitted) else ()
    state = "sealed" if known.state is IdState.STORED else "deleted"
    return Explanation(
        row_id,
        product,
        state,
        verdict,
        found.position,
        table.position,
        views,
        file.sha256,
        row,
        datasets,
        signalled,
    )


def _explained_unsealed(
    ports: Ports, product: ProductId, row_id: str, known: KnownId, table: ConsentTable
) -> Explanation:
    """Explain a row that is still in the log: it is decided when it is sealed."""
    assert known.ordinal is not None
    batch = next(ports.intake.unsealed(product, known.ordinal), None)
    if batch is None:
        raise UnknownRow("the row was sealed while it was looked up; ask again")
    at = known.ordinal - batch.first
    parties = tuple(PartyNo(p) for p in batch.party_sets[batch.set_nos[at]])
    position = Position(batch.positions[at])
    is_deleted = known.state is not IdState.STORED
    verdict = Withheld(Reason.DELETED, ()) if is_deleted else admit(parties, position, table)
    views = tuple(_party_views(ports, known, parties, position, table))
    state = "deleted" if is_deleted else "unsealed"
    signalled = known.state is IdState.SIGNALLED
    return Explanation(
        row_id, product, state, verdict, position, table.position, views, None, None, (), signalled
    )


def _file_of(files: Sequence[LakeFile], ordinal: Ordinal) -> LakeFile | None:
    return next((f for f in files if f.first <= ordinal < f.first + f.rows), None)


def _verdict(
    vector: ConsentVector | None,
    row: int,
    parties: tuple[PartyNo, ...],
    position: Position,
    table: ConsentTable,
) -> Verdict:
    """Return the verdict of the vector, the one that datasets follow, with the parties behind it."""
    if vector is None:
        return Withheld(Reason.UNREADABLE, ())
    by_parties = admit(parties, position, table)
    if isinstance(by_parties, Withheld):
        return by_parties
    for reason in Reason:
        if reason in vector.bits and row in vector.bits[reason]:
            return Withheld(reason, ())
    return by_parties


def _party_views(
    ports: Ports,
    known: KnownId,
    parties: Iterable[PartyNo],
    position: Position,
    table: ConsentTable,
) -> Iterator[PartyView]:
    with ports.ledger.directory() as directory:
        holders = _holders(directory, known)
    for party in parties:
        standing, kind = table.standing(party), table.kind(party)
        holder = holders.get(party, kind.name.lower().replace("_", " "))
        yield PartyView(party, holder, REASON_OF_KIND[kind], standing, admits(standing, position))


def _holders(directory: Directory, known: KnownId) -> dict[PartyNo, str]:
    """Name the parties of everybody who may be in a row: its authors, theirs, and all plans."""
    named: dict[PartyNo, str] = {}
    for author in known.provenance.authors:
        account = directory.subject(author.account)
        named |= _parties_named(account, "account")
        for membership in account.memberships:
            named |= _parties_named(directory.subject(membership.organization), "organization")
    for product in directory.policy.products:
        for plan in product.plans:
            parties = directory.plan(product.id, plan.id)
            named[parties.default] = f"default of {product.id} {plan.id}"
            named[parties.lock] = f"lock of {product.id} {plan.id}"
    return named


def _parties_named(subject: Subject, kind: str) -> dict[PartyNo, str]:
    return {
        holding.party: f"{kind} {subject.id or '(erased)'} for {product}"
        for product, holding in subject.holdings.items()
    }


def _yielding(ports: Ports, file: LakeFile) -> tuple[str, ...]:
    return tuple(
        str(dataset.ref)
        for dataset in ports.datasets.all()
        if any(f.no == file.no for f in dataset.manifest.files)
    )

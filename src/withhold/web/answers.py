"""Answers: what services return, as the JSON that HTTP and the command line give (design section 8).

Both surfaces give the same documents, so they are made in one place. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from withhold.domain.admission import Reason, Withheld
from withhold.domain.datasets import Dataset
from withhold.domain.directory import Subject
from withhold.domain.standing import NEVER_OUT, OUT, Standing
from withhold.domain.times import utc
from withhold.services.builds import Counts
from withhold.services.capture import CaptureAnswer
from withhold.services.lookups import DatasetRows, DatasetView, Explanation, PartyView
from withhold.services.preferences import PreferenceStatus

SIGNALLED = "refusing_signal"
"""The reason of a row that was not stored because of a signal that came with it."""


class Preference(msgspec.Struct, frozen=True):
    """What a switch says, and the entry that decides it."""

    allowed: bool
    source: Literal["account", "plan_lock", "organization", "plan_default"]
    locked: bool
    position: int
    confirmed_at: str
    receipt_url: str
    reason: str


class Put(msgspec.Struct, frozen=True):
    """An account or organization as it stands now; ``position`` is its newest entry."""

    id: str
    plans: dict[str, str]
    position: int


class RejectedLine(msgspec.Struct, frozen=True):
    """A line that was refused; nothing of it was kept."""

    line: int
    reason: str


class Many(msgspec.Struct, frozen=True):
    """What became of many; the others of a batch stand whatever was rejected."""

    accepted: int
    rejected: list[RejectedLine]
    position: int


class Captured(msgspec.Struct, frozen=True):
    """What became of a batch of interactions."""

    accepted: int
    withheld: int
    duplicate: int
    rejected: list[RejectedLine]
    position: int


class Head(msgspec.Struct, frozen=True):
    """The ledger's head, and a capture token for it."""

    position: int
    token: str


class Allowed(msgspec.Struct, frozen=True):
    """For each account asked about, whether what it makes now may be used; unknown ones may not."""

    allowed: list[bool]


class Deleted(msgspec.Struct, frozen=True):
    """How many stored rows no dataset yields any more."""

    rows: int


class Built(msgspec.Struct, frozen=True):
    """A committed version as it was committed."""

    name: str
    version: int
    product: str
    position: int
    committed_at: str
    admitted: int
    withheld: dict[str, int]


class Now(msgspec.Struct, frozen=True):
    """What a version yields at ``position``."""

    position: int
    admitted: int
    withheld: dict[str, int]


class Version(msgspec.Struct, frozen=True):
    """A version as it was committed, and what it yields now."""

    name: str
    version: int
    product: str
    position: int
    committed_at: str
    admitted: int
    withheld: dict[str, int]
    manifest: str
    policy: str
    now: Now


class WithdrawnRows(msgspec.Struct, frozen=True):
    """Rows that a version no longer yields, known to be withheld from ``position`` on."""

    position: int
    rows: int


class HeldBy(msgspec.Struct, frozen=True):
    """An account's rows in one version."""

    dataset: str
    rows: int
    withdrawn: list[WithdrawnRows]


class Party(msgspec.Struct, frozen=True):
    """One party of a row; ``on_since`` is a position, "never out" or "out"."""

    holder: str
    on_since: int | str
    admits: bool


class Explained(msgspec.Struct, frozen=True):
    """Why a row is admitted or withheld."""

    id: str
    product: str
    state: str
    admitted: bool
    reason: str | None
    position: int
    decided_at: int
    parties: list[Party]
    file: str | None
    row: int | None
    datasets: list[str]


def preference(status: PreferenceStatus) -> Preference:
    """Return what a switch says."""
    return Preference(
        status.allowed,
        status.source.value,
        status.locked,
        status.position,
        utc(status.recorded_at),
        f"/v1/receipts/{status.receipt}",
        status.reason,
    )


class Erased(msgspec.Struct, frozen=True):
    """An account is erased.

    ``purged`` says whether its key and its name are gone from the files as well; while it is false that is
    tried again by itself.
    """

    position: int
    purged: bool


def put(subject: Subject) -> Put:
    """Return an account or organisation."""
    plans = {product: subject.plan_now(product) for product in subject.holdings}
    return Put(subject.id, {p: plan for p, plan in plans.items() if plan is not None}, subject.last)


def captured(answer: CaptureAnswer) -> Captured:
    """Return what became of a batch."""
    rejected = [RejectedLine(r.line, r.reason) for r in answer.rejected]
    return Captured(answer.accepted, answer.withheld, answer.duplicate, rejected, answer.position)


def built(dataset: Dataset) -> Built:
    """Return a version as it was committed."""
    m = dataset.manifest
    return Built(
        m.name,
        m.version,
        m.product,
        dataset.position,
        utc(dataset.committed_at),
        m.admitted,
        by_reason(m.withheld),
    )


def counted(counts: Counts) -> dict[str, object]:
    """Return what a build would have admitted."""
    return {
        "dry_run": True,
        "product": counts.product,
        "position": counts.position,
        "admitted": counts.admitted,
        "withheld": by_reason(counts.withheld),
    }


def version(view: DatasetView) -> Version:
    """Return a version and what it yields now."""
    m = view.dataset.manifest
    now = Now(view.position, view.admitted, by_reason(view.withheld))
    first = built(view.dataset)
    return Version(
        m.name,
        m.version,
        m.product,
        first.position,
        first.committed_at,
        m.admitted,
        first.withheld,
        m.sha256(),
        m.policy_version,
        now,
    )


def held(rows: Iterable[DatasetRows]) -> list[HeldBy]:
    """Return an account's rows by version."""
    return [
        HeldBy(str(r.dataset.ref), r.rows, [WithdrawnRows(p, n) for p, n in r.withdrawn])
        for r in rows
    ]


def explained(found: Explanation) -> Explained:
    """Return why a row is admitted or withheld."""
    reason = found.verdict.reason.value if isinstance(found.verdict, Withheld) else None
    if found.is_signalled:
        reason = SIGNALLED
    elif found.verdict is None:
        reason = found.state
    return Explained(
        found.id,
        found.product,
        found.state,
        reason is None,
        reason,
        found.position,
        found.decided_at,
        [_party(party) for party in found.parties],
        found.file,
        found.row,
        list(found.datasets),
    )


def by_reason(rows: Mapping[Reason, int]) -> dict[str, int]:
    """Return rows by the reason's name."""
    return {reason.value: count for reason, count in rows.items()}


def _party(view: PartyView) -> Party:
    return Party(view.holder, _since(view.on_since), view.admits)


def _since(standing: Standing) -> int | str:
    if standing == OUT:
        return "out"
    return "never out" if standing == NEVER_OUT else int(standing)

"""The two lists of a holder, history and whereabouts, in the words of the policy in force."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from litestar import Response

from withhold.domain.canonical_json import canonical
from withhold.domain.datasets import parse_ref
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position, ProductId
from withhold.domain.policy import Policy
from withhold.errors import InputError, UnknownDataset, UnknownReceipt
from withhold.services import absence, receipts
from withhold.services.history import HistoryEntry, history, receipt_of
from withhold.services.switches import Holder
from withhold.services.whereabouts import Whereabouts, whereabouts
from withhold.web import receipt_page
from withhold.web.rendering import PLAIN
from withhold.web.visits import Visit

_POSITION = re.compile(r"[1-9][0-9]{0,17}")
PROVABLE = 100
"""Versions whose proofs are listed; older ones are asked for by name."""

_SURFACES = {"api": "API", "cli": "Command line", "mobile": "Mobile app"}
"""What surfaces without a name of their own in the policy are called."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One change, ready to be drawn.

    Attributes:
        what: what happened, in a few words.
        product: the label of the product a choice is about, else empty.
        where: where the control stood, else empty.
        who: who acted, in words.
        more: details, one each.
    """

    position: Position
    recorded_at: int
    what: str
    product: str
    where: str
    who: str
    notice: str
    more: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provable:
    """A dataset version that an account can have a proof about.

    Attributes:
        is_tagged: whether the proof can be given already; it can be soon after the commit.
    """

    name: str
    product: ProductId
    position: Position
    is_tagged: bool


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Changes, newest first; ``older`` asks for those before, None when there are none."""

    rows: tuple[HistoryRow, ...]
    older: Position | None


def history_page(visit: Visit, holder: Holder) -> HistoryPage:
    """Return the changes that a page of the history shows."""
    asked = visit.asked("before")
    before = Position(int(asked)) if _POSITION.fullmatch(asked) else None
    read = history(visit.ports, holder, before)
    rows = tuple(_row(visit, holder, entry) for entry in read.entries)
    return HistoryPage(rows, read.older)


def receipt(visit: Visit, holder: Holder, asked: str, base: str) -> Response[bytes]:
    """Give a receipt of the holder's own to keep; everybody else's is not there.

    Args:
        asked: the position, for the file; with ``.html`` or ``.pdf`` after it, for the page or the PDF.
            ``?form=redacted`` asks for the form to show to others.
        base: what the addresses of the holder's pages begin with.

    Raises:
        UnknownReceipt: there is none of the holder's at that position.
    """
    position, _, kind = asked.partition(".")
    if not _POSITION.fullmatch(position) or kind not in {"", *receipt_page.KINDS}:
        raise UnknownReceipt("no such receipt; take its address from the history")
    is_redacted = visit.asked("form") == "redacted"
    document = receipt_of(visit.ports, holder, Position(int(position)), is_redacted=is_redacted)
    return receipt_page.given(
        document, receipts.keys(visit.ports), kind or "json", f"{base}/history"
    )


def found(visit: Visit, holder: Holder) -> Whereabouts | None:
    """Return where a holder's rows are; None while the ledger is read-only, since nobody can tell then."""
    return None if visit.is_read_only else whereabouts(visit.ports, holder)


def provable(visit: Visit) -> tuple[Provable, ...]:
    """Return the newest versions of datasets, newest first, each with a proof for the account.

    There are none while the ledger is read-only.
    """
    if visit.is_read_only:
        return ()
    known = visit.ports.datasets.all()
    untagged = {each.ref for each in visit.ports.datasets.untagged()}
    return tuple(
        Provable(
            str(each.ref),
            each.manifest.product,
            each.position,
            is_tagged=each.ref not in untagged,
        )
        for each in reversed(known[-PROVABLE:])
    )


def proof(visit: Visit, reference: str) -> Response[bytes]:
    """Give the proof that a version had rows of the account, or had none, to keep.

    Raises:
        UnknownDataset: there is no such version.
        NotTagged: its tags are not made yet.
    """
    try:
        ref = parse_ref(reference)
    except InputError as error:
        raise UnknownDataset(str(error)) from None
    document = absence.prove(visit.ports, visit.account, ref)
    headers = {**PLAIN, "Content-Disposition": f'attachment; filename="proof-{ref}.json"'}
    return Response(canonical(document) + b"\n", media_type="application/json", headers=headers)


def products(policy: Policy) -> Mapping[str, str]:
    """Return the labels of products by id."""
    return {product.id: product.label for product in policy.products}


def _row(visit: Visit, holder: Holder, entry: HistoryEntry) -> HistoryRow:
    labels = products(visit.policy)
    return HistoryRow(
        entry.position,
        entry.recorded_at,
        _what(entry),
        labels.get(entry.product, entry.product),
        _where(visit.policy, entry.surface),
        _who(holder, entry),
        entry.notice or "",
        tuple(_more(visit, entry)),
    )


def _what(entry: HistoryEntry) -> str:
    if entry.kind is EventKind.ROWS_DELETED:
        return f"Deleted {entry.rows:,} {'row' if entry.rows == 1 else 'rows'}"
    return {
        EventKind.OPTED_OUT: "Turned off",
        EventKind.OPTED_IN: "Turned on",
        EventKind.ACCOUNT_OPENED: "Account opened",
        EventKind.ACCOUNT_MOVED: "Plan or organization changed",
        EventKind.ACCOUNTS_MERGED: "Accounts merged",
        EventKind.ORGANIZATION_OPENED: "Organization opened",
        EventKind.ORGANIZATION_MOVED: "Plan changed",
    }.get(entry.kind, "Recorded")


def _where(policy: Policy, surface: str) -> str:
    if surface in _SURFACES or not surface:
        return _SURFACES.get(surface, "")
    for product in policy.products:
        for each in product.surfaces:
            if each.id == surface:
                return each.path[0]
    return surface


def _who(holder: Holder, entry: HistoryEntry) -> str:
    if entry.actor is None:
        return "The provider"
    return "You" if entry.actor == holder.viewer else entry.actor


def _more(visit: Visit, entry: HistoryEntry) -> list[str]:
    labels, names = products(visit.policy), visit.names
    told = [f"{names.get(name, name)} ({role})" for name, role in entry.organizations]
    told += [
        f"{labels.get(product, product)}: {_plan(visit.policy, product, plan)}"
        for product, plan in entry.plans.items()
    ]
    if entry.is_set_anew:
        told.append("counts as on from here only")
    return told


def _plan(policy: Policy, product: str, plan: str) -> str:
    for each in policy.products:
        for offered in each.plans:
            if (each.id, offered.id) == (product, plan):
                return offered.label
    return plan

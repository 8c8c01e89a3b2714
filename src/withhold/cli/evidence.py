"""``withhold where``, ``explain``, ``audit``: what can be shown and checked."""

from __future__ import annotations

from typing import Annotated

import typer

from withhold.cli.output import (
    RIGHT,
    AsJson,
    Home,
    Product,
    give,
    opened,
    product_of,
    progress_steps,
    say,
)
from withhold.cli.output import table as draw
from withhold.domain.names import AccountId
from withhold.errors import VerificationError
from withhold.formats.quantity import quantity
from withhold.services import audit as auditing
from withhold.services import lookups
from withhold.web import answers

HISTORY = "imported as history (position 0), admitted only while nobody of it has ever been out"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(where)
    app.command()(explain)
    app.command()(audit)


def where(
    account: Annotated[str, typer.Argument(help="The account's id.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the datasets that hold rows of an account, and those it was withdrawn from.

    Example: withhold where ana
    """
    with opened(home) as ports:
        found = answers.held(lookups.where(ports, AccountId(account)))
    if as_json:
        give({"account": account, "datasets": found})
        return
    if not found:
        say(f"No dataset holds or held rows of {account}.")
        return
    columns = ("Dataset", RIGHT + "Rows now", RIGHT + "Withdrawn", "Since position")
    rows = (
        (
            held.dataset,
            held.rows,
            sum(w.rows for w in held.withdrawn),
            ", ".join(f"{w.position:,}" for w in held.withdrawn),
        )
        for held in found
    )
    draw(columns, rows)


def explain(
    row: Annotated[str, typer.Argument(help="The interaction's id.")],
    product: Product = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say why a row is admitted or withheld: every party of it, and what each says.

    Example: withhold explain chat-17
    """
    with opened(home) as ports:
        found = answers.explained(lookups.explain(ports, row, product_of(product)))
    if as_json:
        give(found)
        return
    verdict = "admitted" if found.admitted else f"withheld: {found.reason}".replace("_", " ")
    say(f"{found.id} ({found.product}, {found.state}): {verdict}")
    if found.reason == answers.SIGNALLED:
        say("  the person's browser refused training when it was made, and the policy honours that")
    if not found.parties:
        say("  it was not stored; only a keyed hash of its id is kept, so nothing more is known")
        return
    came = f"accepted at position {found.position:,}" if found.position else HISTORY
    say(f"  {came}, decided at {found.decided_at:,}")
    say(f"  yielded by {', '.join(found.datasets) or 'no dataset'}")
    rows = ((p.holder, p.on_since, "yes" if p.admits else "no") for p in found.parties)
    draw(("Party", "On since", "Lets it be used"), rows)


def audit(home: Home = None, as_json: AsJson = False) -> None:
    """Check everything again: ledger, tree, files, vectors against the full decision, every dataset.

    Whose rows a dataset had is decided again too, and their tags must have the root that its proofs are
    checked with. The first position of the ledger that does not hold is named. Ctrl-C ends it at once.

    Example: withhold audit --json
    """
    with opened(home) as ports, progress_steps(quiet=as_json) as progress:
        report = auditing.audit(ports, progress)
    if as_json:
        give({"holds": report.holds, **_fields(report)})
    else:
        seen = ((report.files, "file"), (report.rows, "row"), (report.datasets, "dataset"))
        what = ", ".join(quantity(number, thing) for number, thing in seen)
        say(f"Audited at position {report.position:,}: {what}")
    if not report.holds:
        if not as_json:
            for fault in report.faults:
                say(f"  {fault.sentence}")
        raise VerificationError(_said(report), position=report.first)
    if not as_json:
        for version in report.untagged:
            say(f"  {version} is not tagged yet; `withhold tag` makes its tags")
        say("Everything holds.")


def _said(report: auditing.AuditReport) -> str:
    first = next((f for f in report.faults if f.position == report.first), report.faults[0])
    said = f"{len(report.faults)} faults; the first: {first.sentence}"
    if report.first is None:
        return said
    return f"position {report.first:,} is the first that does not hold; {said}"


def _fields(report: auditing.AuditReport) -> dict[str, object]:
    return {
        "position": report.position,
        "files": report.files,
        "rows": report.rows,
        "datasets": report.datasets,
        "untagged": list(report.untagged),
        "first_position": report.first,
        "faults": [{"position": f.position, "what": f.sentence} for f in report.faults],
    }

"""``withhold where``, ``explain``, ``verify``, ``audit``: what can be shown and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from withhold.cli.output import RIGHT, AsJson, Home, Product, give, opened, product_of, say
from withhold.cli.output import table as draw
from withhold.domain.ledger import Json
from withhold.domain.names import AccountId
from withhold.errors import InputError, VerificationError
from withhold.services import audit as auditing
from withhold.services import lookups, receipts
from withhold.web import answers

MAX_RECEIPT_BYTES = 1024 * 1024


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(where)
    app.command()(explain)
    app.command()(verify)
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
    if not found.parties:
        if found.reason == answers.SIGNALLED:
            say(
                "  the person's browser refused training when it was made, and the policy honours that"
            )
        say("  it was not stored; only a keyed hash of its id is kept, so nothing more is known")
        return
    say(f"  accepted at position {found.position:,}, decided at {found.decided_at:,}")
    say(f"  yielded by {', '.join(found.datasets) or 'no dataset'}")
    rows = ((p.holder, p.on_since, "yes" if p.admits else "no") for p in found.parties)
    draw(("Party", "On since", "Lets it be used"), rows)


def verify(
    file: Annotated[
        Path | None, typer.Argument(help="A receipt; without one the whole ledger is verified.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Verify the ledger's chain and everything derived from it, or one receipt against it.

    A receipt is checked by its own bytes and against this ledger. Signed receipts, which verify without
    the ledger, come with a later version.

    Example: withhold verify receipt.json
    """
    document = None if file is None else _receipt(file)
    with opened(home) as ports:
        position = (
            ports.ledger.verify() if document is None else receipts.verify_receipt(ports, document)
        )
    if as_json:
        give({"verified": True, "position": position})
    elif document is None:
        say(f"The ledger holds: every entry up to position {position:,} is as it was written.")
    else:
        say(f"The receipt holds: this ledger has that entry at position {position:,}.")


def audit(home: Home = None, as_json: AsJson = False) -> None:
    """Check everything again: ledger, files, vectors against the full decision, every dataset.

    Example: withhold audit --json
    """
    with opened(home) as ports:
        report = auditing.audit(ports)
    if as_json:
        give({"holds": report.holds, **_fields(report)})
    else:
        say(
            f"Audited at position {report.position:,}: {report.files:,} files, {report.rows:,} rows, "
            f"{report.datasets:,} datasets"
        )
    if not report.holds:
        if not as_json:
            for fault in report.faults:
                say(f"  {fault}")
        raise VerificationError(f"{len(report.faults)} faults; the first: {report.faults[0]}")
    if not as_json:
        say("Everything holds.")


def _fields(report: auditing.AuditReport) -> dict[str, object]:
    return {
        "position": report.position,
        "files": report.files,
        "rows": report.rows,
        "datasets": report.datasets,
        "faults": list(report.faults),
    }


def _receipt(file: Path) -> dict[str, Json]:
    try:
        with file.open("rb") as opened_file:
            text = opened_file.read(MAX_RECEIPT_BYTES + 1)
        document = json.loads(text)
    except OSError as error:
        raise InputError(f"{file.name}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file.name}: expected a receipt, one JSON object") from None
    if not isinstance(document, dict):
        raise InputError(f"{file.name}: expected a receipt, one JSON object")
    return document

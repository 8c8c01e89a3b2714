"""``withhold receipt``, ``keys``, ``verify``: what somebody keeps, and checking it without us."""

from __future__ import annotations

import dataclasses
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from withhold.adapters.embedded import exists
from withhold.adapters.signing import verifies
from withhold.cli.absence import verify_proof
from withhold.cli.checking import (
    NO_KEY,
    Outcome,
    failed,
    listed,
    no_receipt,
    proof_in,
    read,
    shown,
    trust_of,
    write,
)
from withhold.cli.output import OR_FORCE, AsJson, Force, Home, give, home_of, opened, say
from withhold.domain import dataset_proofs
from withhold.domain import receipts as files
from withhold.domain.checkpoints import Trust
from withhold.domain.checkpoints import opened as open_checkpoint
from withhold.domain.notes import NoteKey
from withhold.domain.receipts import MAX_BYTES, Verified
from withhold.domain.statements import Form
from withhold.errors import InputError, VerificationError, WithholdError
from withhold.formats import receipt_pdf
from withhold.formats.receipt_words import told
from withhold.ports import Ports
from withhold.services import audit, receipts
from withhold.services import log as logs
from withhold.web import receipt_page, verify_page

Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="The log's public key, or a file of them; may be given again."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(receipt)
    app.command()(keys)
    app.command()(verify)


def receipt(
    position: Annotated[str, typer.Argument(help="The position of an entry.")],
    file: Annotated[
        Path | None, typer.Argument(help="Where to: .json, .pdf or .html; else it is printed.")
    ] = None,
    redacted: Annotated[
        bool, typer.Option("--redacted", help="The form to show to others: without whose it is.")
    ] = False,
    force: Force = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give the receipt of an entry: a file that anybody can check without this installation.

    Example: withhold receipt 303 receipt.json
    """
    with opened(home) as ports:
        document = (receipts.redacted if redacted else receipts.receipt)(ports, position)
        known = receipts.keys(ports)
    if file is None:
        sys.stdout.write(files.encoded(document).decode())
        return
    data = _written(file, document, known)
    write(file, data, over=force, or_else=OR_FORCE)
    if as_json:
        form = Form.REDACTED if redacted else Form.FULL
        give({"position": document["position"], "file": str(file), "form": form})
    else:
        say(f"Wrote {file}.")


def _written(file: Path, document: files.Document, known: list[str]) -> bytes:
    """Return a receipt in the form that a file's name asks for."""
    if file.suffix == ".json":
        return files.encoded(document)
    if file.suffix == ".pdf":
        return receipt_pdf.pdf(document, known)
    if file.suffix == ".html":
        return receipt_page.alone(document, known).encode()
    raise InputError(f"{file}: expected a name that ends in .json, .pdf or .html")


def keys(home: Home = None, as_json: AsJson = False) -> None:
    """Print the log's public keys, one a line: whoever checks receipts needs them.

    Example: withhold keys > log.keys
    """
    with opened(home) as ports:
        known = receipts.keys(ports)
    if as_json:
        give({"keys": known})
    else:
        sys.stdout.write("".join(f"{key}\n" for key in known))


def verify(
    file: Annotated[
        Path | None,
        typer.Argument(help="A receipt or a proof; without one the whole ledger is verified."),
    ] = None,
    key: Keys = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Whose receipt or proof it must be.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page", help="Write a page that checks receipts and proofs in any browser, and end."
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt or a proof with nothing but the log's public key, or the whole ledger.

    A receipt takes these steps, and ends at the first that fails: 1 form, 2 statement, 3 record (not in the
    redacted form), 4 checkpoint, 5 place, 6 signature, 7 ledger. A proof about a dataset takes these:
    1 form, 2 checkpoint, 3 place, 4 account, 5 tagging, 6 tag, 7 claim, 8 ledger.

    Without --key the keys are those of the home, and the last step is taken: the ledger there must still
    have what the receipt or the proof says. Without a home everything but who signed is checked, and the
    command fails.

    Without FILE every entry of the home is verified; with --key also that this key signed the log's newest
    checkpoint, over these very entries.

    Example: withhold verify receipt.json --key log.keys

    Example: withhold verify ana-chat-1.json --key log.keys
    """
    if page is not None:
        _refuse_beside_page(file=file, key=key, account=account, home=home)
        _write_page(page, as_json=as_json)
    elif file is not None:
        _checked(file, key, account, home).tell(as_json=as_json)
    elif account is not None:
        raise InputError("--account says whose a receipt or a proof must be; name its FILE as well")
    else:
        _ledger(key, home).tell(as_json=as_json)


def _refuse_beside_page(**given: object) -> None:
    names = {"file": "FILE", "key": "--key", "account": "--account", "home": "--home"}
    also = ", ".join(names[name] for name, value in given.items() if value is not None)
    if also:
        raise InputError(
            f"--page writes a page and ends, and uses nothing of {also}; leave that out, or leave "
            "--page out to verify"
        )


def _write_page(page: Path, *, as_json: bool) -> None:
    write(page, verify_page.alone().encode())
    if as_json:
        give({"file": str(page)})
    else:
        say(f"Wrote {page}.")


def _ledger(key: list[str] | None, home: Path | None) -> Outcome:
    """Verify the whole ledger, and with keys that they signed its head."""
    try:
        trust = None if key is None else trust_of(key)
        with opened(home) as ports:
            signers = () if trust is None else _signers(ports, trust)
            audit.check_gate(ports)
            position = ports.ledger.verify()
    except WithholdError as error:
        position_of = getattr(error, "position", None)
        return Outcome({"verified": False, "position": position_of}, (), error)
    said = f"The ledger holds: every entry up to position {position:,} is as it was written."
    found = [str(each) for each in signers]
    by = () if trust is None else (f"Its newest checkpoint is signed by {' and '.join(found)}.",)
    signed = {} if trust is None else {"signed_by": found}
    return Outcome({"verified": True, "position": position, **signed}, (said, *by))


def _signers(ports: Ports, trust: Trust) -> tuple[NoteKey, ...]:
    """Return which of these keys signed the newest checkpoint, which is over the entries that are there."""
    found = open_checkpoint(logs.newest(ports.log), trust, verifies)
    ports.log.verify()
    head = found.checkpoint.head
    if ports.log.root(head.size) != head.root:
        raise VerificationError(
            f"log: its newest checkpoint is not over the {head.size} entries that are there; restore "
            "the home from a backup"
        )
    return found.signed_by


def _checked(file: Path, key: list[str] | None, account: str | None, home: Path | None) -> Outcome:
    try:
        trust = None if key is None else trust_of(key)
        data = read(file, MAX_BYTES)
        proof = proof_in(data)
    except WithholdError as error:
        return failed(error, lambda _step: (), dataset_proofs.STEPS)
    if proof is not None:
        return verify_proof(proof, trust, account, home)
    return _verify_receipt(data, trust, account, home)


def _verify_receipt(
    data: bytes, trust: Trust | None, account: str | None, home: Path | None
) -> Outcome:
    is_here = trust is None and exists(home_of(home))
    try:
        if is_here:
            with opened(home) as ports:
                found = receipts.verify_receipt(ports, data, verifies)
        else:
            found = files.verify(data, trust, verifies)
    except WithholdError as error:
        before = partial(files.steps_before, data=data, is_keyed=is_here or trust is not None)
        return failed(_said(error, data), before, files.STEPS)
    fault = _unlike(found, account)
    return Outcome({**_document(found), "verified": fault is None}, _lines(found), fault)


def _said(error: WithholdError, data: bytes) -> WithholdError:
    """Return an error that says what a file is, if it is no receipt at all."""
    step = getattr(error, "step", None)
    what = no_receipt(data) if step == 1 else None
    return error if what is None else VerificationError(f"receipt, step 1 (form): {what}", step=1)


def _unlike(found: Verified, account: str | None) -> VerificationError | None:
    """Return why a receipt that holds is not what was asked for."""
    if account is not None and found.facts.subject != account:
        is_nobodys = found.facts.form == Form.REDACTED
        why = "; a redacted receipt is nobody's in particular" if is_nobodys else ""
        return VerificationError(
            f"receipt: it holds, and is not one of account {account[:64]!r}{why}"
        )
    return None if found.is_signed else VerificationError(f"receipt: {NO_KEY}")


def _lines(found: Verified) -> tuple[str, ...]:
    words = told(found)
    width = max(len(name) for name, _ in words.lines)
    proves = "proves" if found.is_signed else "would prove, once it is known who signed"
    return (
        *shown(found.steps),
        "",
        "The receipt holds." if found.is_signed else "Nobody is known to have signed this.",
        *(f"  {name:<{width}}  {value}" for name, value in words.lines),
        "",
        f"It {proves}: {words.proves}",
        "It does not prove:",
        *(f"  - {each}" for each in words.does_not),
    )


def _document(found: Verified) -> dict[str, object]:
    words = told(found)
    return {
        "verified": found.is_signed,
        "signed": found.is_signed,
        "position": found.position,
        "log": found.facts.log,
        "key": found.key_id,
        "facts": dataclasses.asdict(found.facts),
        "checkpoint": {
            "size": found.checkpoint.head.size,
            "root": found.checkpoint.head.root.hex(),
        },
        "steps": listed(found.steps),
        "title": words.title,
        "proves": words.proves,
        "does_not_prove": list(words.does_not),
    }

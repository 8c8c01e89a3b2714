"""``withhold prove``, ``tag``, and checking a proof: whether a dataset has rows of an account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from withhold.adapters.embedded import exists
from withhold.adapters.signing import verifies
from withhold.cli.checking import NO_KEY, Outcome, failed, listed, shown, write
from withhold.cli.output import (
    OR_FORCE,
    AsJson,
    Force,
    Home,
    give,
    home_of,
    opened,
    progress_bar,
    say,
)
from withhold.domain import dataset_proofs
from withhold.domain.checkpoints import Trust
from withhold.domain.dataset_proofs import Verdict
from withhold.domain.datasets import parse_ref
from withhold.domain.names import AccountId
from withhold.errors import VerificationError, WithholdError
from withhold.formats.proof_words import NOT_WORTH
from withhold.formats.quantity import quantity
from withhold.services import absence, receipts, tagging


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(prove)
    app.command()(tag)


def prove(
    account: Annotated[str, typer.Argument(help="The account's id.")],
    dataset: Annotated[
        str, typer.Argument(help="name@version, for example chat@1 or chat@latest.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the proof, instead of stdout.")
    ] = None,
    force: Force = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a dataset version has rows of an account, or that it has none.

    Of an account that was opened after the version was committed the proof says only that.

    One JSON document, for the person: `withhold verify` checks it anywhere, with the log's public key and
    nothing else. Whoever has it can find the account in other datasets too, so it is shown with care.

    Example: withhold prove ana chat@1 --out ana-chat-1.json
    """
    reference = parse_ref(dataset)
    with opened(home) as ports:
        version = ports.datasets.get(reference)
        if version is not None:
            tagging.tag(ports, version)
        document = absence.prove(ports, AccountId(account), reference)
        keys = receipts.keys(ports)
    if out is None:
        give(document)
        return
    data = json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"
    write(out, data, over=force, or_else=OR_FORCE)
    if as_json:
        give({"file": str(out), "present": document["present"], "keys": keys})
        return
    present = document["present"]
    assert present is None or isinstance(present, bool)  # as it was made a line above
    say(f"Wrote {out}: {dataset_proofs.claim(account, str(document['dataset']), present)}")
    say(f"Checked anywhere by: withhold verify {out} {' '.join(f'--key {key}' for key in keys)}")


def tag(home: Home = None, as_json: AsJson = False) -> None:
    """Make the tags of every version that has none yet; a server and every build do it by themselves.

    Proofs need them, and nothing else does.

    Example: withhold tag
    """
    with opened(home) as ports, progress_bar("Tagging", quiet=as_json) as advance:
        tagged = tagging.tag_all(ports, advance)
    if as_json:
        give({"tagged": tagged})
    else:
        say(f"{quantity(tagged, 'version')} tagged; every version has its tags.")


def verify_proof(
    document: Mapping[str, object], trust: Trust | None, account: str | None, home: Path | None
) -> Outcome:
    """Check a proof and return what it shows.

    Args:
        document: as read from a file.
        trust: the log's public keys; without any the home's own are used, and its ledger is held against
            the proof. Without a home everything but who signed is checked, and the check fails.
        account: whom it must be about.
        home: the folder of the installation.
    """
    is_here = trust is None and exists(home_of(home))
    try:
        if is_here:
            with opened(home) as ports:
                found = absence.verify_proof(ports, document, verifies)
        else:
            found = dataset_proofs.check(document, trust, verifies)
    except WithholdError as error:
        is_keyed = is_here or trust is not None
        before = partial(dataset_proofs.steps_before, is_keyed=is_keyed)
        return failed(error, before, dataset_proofs.STEPS)
    fault = _unlike(found, account)
    verified = {"verified": fault is None, "signed": found.is_signed}
    told = {**verified, **_fields(found), "in_ledger": is_here, "steps": listed(found.steps)}
    return Outcome(told, _lines(found), fault)


def _unlike(found: Verdict, account: str | None) -> VerificationError | None:
    """Return why a proof that holds is not what was asked for."""
    if account not in {None, found.account}:
        return VerificationError(
            f"dataset proof: it is about account {found.account[:64]!r}, and not about {account!r:.64}"
        )
    return None if found.is_signed else VerificationError(f"dataset proof: {NO_KEY}")


def _lines(found: Verdict) -> tuple[str, ...]:
    head = found.checkpoint.checkpoint
    by = "signed by" if found.is_signed else "nobody is known to have signed it; it names"
    return (
        *shown(found.steps),
        "",
        f"The proof holds: {found.said}"
        if found.is_signed
        else f"It would show, once it is known who signed: {found.said}",
        f"  committed at position {found.commit:,}, tagged at {found.tagged:,}",
        f"  the account opened at position {found.opened:,}",
        f"  manifest {found.manifest}",
        f"  {by} {head.origin}, over {head.head.size:,} entries",
        "It does not prove:",
        *(f"  - {each}" for each in NOT_WORTH),
    )


def _fields(found: Verdict) -> dict[str, object]:
    head = found.checkpoint.checkpoint
    return {
        "account": found.account,
        "dataset": found.dataset,
        "present": found.present,
        "is_vacuous": found.is_vacuous,
        "shows": found.said,
        "position": found.commit,
        "manifest": found.manifest,
        "tagged": found.tagged,
        "opened": found.opened,
        "origin": head.origin,
        "size": head.head.size,
        "root": head.head.root.hex(),
    }

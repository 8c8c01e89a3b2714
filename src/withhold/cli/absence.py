"""``withhold prove``, ``tag``, and checking a proof: whether a dataset has rows of an account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from withhold.adapters.signing import verifies
from withhold.app import is_there
from withhold.cli.output import AsJson, Home, give, home_of, opened, progress_bar, say
from withhold.domain import dataset_proofs
from withhold.domain.checkpoints import LogKey, Trust
from withhold.domain.dataset_proofs import Verdict
from withhold.domain.datasets import parse_ref
from withhold.domain.names import AccountId
from withhold.domain.notes import parse_key
from withhold.errors import InputError, VerificationError
from withhold.ports import Ports
from withhold.services import absence, tagging


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
        keys = [str(each.key) for each in trusted(ports).log_keys]
    if out is None:
        give(document)
        return
    try:
        out.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out.name}: cannot be written: {error.strerror}") from None
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
        say(f"{tagged:,} versions tagged; every version has its tags.")


def proof_in(data: bytes) -> dict[str, object] | None:
    """Return the proof that a file is, None when it is something else.

    Raises:
        VerificationError: it says something twice, different things to different readers.
    """
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or document.get("format") != dataset_proofs.FORMAT:
            return None
        return json.loads(data, object_pairs_hook=_once)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise VerificationError("document: it says something twice; expected every name once")
    return found


def verify_proof(
    document: Mapping[str, object], keys: Sequence[str], home: Path | None, *, as_json: bool
) -> None:
    """Check a proof and say what it shows.

    Args:
        document: as read from a file.
        keys: the log's public keys; without any the home's own are used, and its ledger is held against it.
        home: the folder of the installation.
        as_json: whether to print JSON.

    Raises:
        VerificationError: it does not hold.
    """
    if keys:
        found = dataset_proofs.check(document, trust_of(keys), verifies)
    elif is_there(home_of(home)):
        with opened(home) as ports:
            found = absence.verify_proof(ports, document, verifies)
    else:
        raise InputError(
            "a proof is checked with the log's public key; give the one you know with --key"
        )
    if as_json:
        give({"verified": True, **_fields(found), "in_ledger": not keys})
        return
    say(f"The proof holds: {found.said}")
    say(
        f"  committed at position {found.commit:,}, tagged at {found.tagged:,}, "
        f"the account opened at {found.opened:,}"
    )
    say(f"  manifest {found.manifest}")
    head = found.checkpoint.checkpoint
    say(f"  signed by {head.origin}, over {head.head.size:,} entries")
    if not keys:
        say("  this ledger has both entries there, and every entry up to then as it was")


def trust_of(keys: Sequence[str]) -> Trust:
    """Return whom to believe: the keys that were named, at least one.

    Raises:
        InputError: one is not a verifier key, or they are of several logs.
    """
    log_keys = tuple(LogKey(parse_key(key)) for key in keys)
    if len({each.key.name for each in log_keys}) > 1:
        raise InputError("keys: expected those of one log; check for one log at a time")
    return Trust(log_keys[0].key.name, log_keys)


def trusted(ports: Ports) -> Trust:
    """Return the log of an installation with its own keys."""
    return Trust(ports.log.origin, ports.log.keys())


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

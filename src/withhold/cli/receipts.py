"""``withhold receipt``, ``keys``, ``verify``: what somebody keeps, and checking it without us."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from withhold.adapters.embedded import exists
from withhold.adapters.signing import verifies
from withhold.cli.absence import proof_in, verify_proof
from withhold.cli.output import AsJson, Home, give, home_of, opened, safe, say
from withhold.domain import receipts as files
from withhold.domain.checkpoints import LogKey, Trust
from withhold.domain.notes import parse_key
from withhold.domain.receipts import MAX_BYTES, Verified
from withhold.errors import InputError, VerificationError
from withhold.formats import receipt_pdf
from withhold.formats.receipt_words import told
from withhold.services import receipts
from withhold.web import receipt_page, verify_page

MAX_KEYS_BYTES = 64 * 1024
NO_KEY = (
    "everything but who signed was checked, and holds; name the log's public key with --key, from "
    "wherever you trust it"
)
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
    home: Home = None,
) -> None:
    """Give the receipt of an entry: a file that anybody can check without this installation.

    Example: withhold receipt 303 receipt.json
    """
    with opened(home) as ports:
        document = (receipts.redacted if redacted else receipts.receipt)(ports, position)
        known = receipts.keys(ports)
    kind = ".json" if file is None else file.suffix
    if kind == ".json":
        data = files.encoded(document)
    elif kind == ".pdf":
        data = receipt_pdf.pdf(document, known)
    elif kind == ".html":
        data = receipt_page.alone(document, known).encode()
    else:
        raise InputError(f"{file}: expected a name that ends in .json, .pdf or .html")
    if file is None:
        sys.stdout.write(data.decode())
    else:
        _write(file, data)


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
        str | None, typer.Option("--account", help="Whose receipt it must be.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Write a page that checks receipts in any browser, and end."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Verify a receipt or a proof with nothing but the log's public key, or the whole ledger.

    Without --key the keys are those of the home, and the ledger there must still have what the receipt
    or the proof says. Without a home everything but who signed is checked, and the command fails.

    Example: withhold verify receipt.json --key log.keys

    Example: withhold verify ana-chat-1.json --key log.keys
    """
    if page is not None:
        _write(page, verify_page.alone().encode())
    elif file is None:
        _verify_ledger(home, as_json=as_json)
    else:
        data = _read(file, MAX_BYTES)
        proof = proof_in(data)
        if proof is None:
            _verify_file(data, key, account, home, as_json=as_json)
        elif account not in {None, proof.get("account")}:
            raise VerificationError(f"dataset proof: it is not about account {account!r:.64}")
        else:
            named = [line for each in key or () for line in _lines(each)]
            if key and not named:
                raise InputError("--key: expected keys of one log, got 0")
            verify_proof(proof, named, home, as_json=as_json)


def _verify_ledger(home: Path | None, *, as_json: bool) -> None:
    with opened(home) as ports:
        position = ports.ledger.verify()
    if as_json:
        give({"verified": True, "position": position})
    else:
        say(f"The ledger holds: every entry up to position {position:,} is as it was written.")


def _verify_file(
    data: bytes, key: list[str] | None, account: str | None, home: Path | None, *, as_json: bool
) -> None:
    if key:
        found = files.verify(data, _trust(key), verifies)
    elif home is not None or exists(home_of(home)):
        with opened(home) as ports:
            found = receipts.verify_receipt(ports, data, verifies)
    else:
        found = files.verify(data, None, verifies)
    if account is not None and found.facts.subject != account:
        raise VerificationError(
            f"receipt: it holds, and is not one of account {account[:64]!r}; "
            "a redacted receipt is nobody's in particular"
        )
    if as_json:
        give(_document(found))
    else:
        _say(found)
    if not found.is_signed:
        raise VerificationError(f"receipt: {NO_KEY}")


def _say(found: Verified) -> None:
    for number, step in enumerate(found.steps, start=1):
        mark = "ok" if step.holds else "--"
        say(f"{number}  {mark}  {step.name}: {step.said}")
    words = told(found)
    say("")
    say("The receipt holds." if found.is_signed else "Nobody is known to have signed this.")
    width = max(len(name) for name, _ in words.lines)
    for name, value in words.lines:
        say(f"  {name:<{width}}  {value}")
    say("")
    say(
        f"It {'proves' if found.is_signed else 'would prove, once it is known who signed'}: {words.proves}"
    )
    say("It does not prove:")
    for each in words.does_not:
        say(f"  - {each}")


def _document(found: Verified) -> dict[str, object]:
    words = told(found)
    return {
        "verified": found.is_signed,
        "signed": found.is_signed,
        "position": found.position,
        "log": found.facts.log,
        "key": found.key_id,
        "facts": found.facts._asdict(),
        "checkpoint": {
            "size": found.checkpoint.head.size,
            "root": found.checkpoint.head.root.hex(),
        },
        "steps": [
            {"step": number, **step._asdict()} for number, step in enumerate(found.steps, start=1)
        ],
        "title": words.title,
        "proves": words.proves,
        "does_not_prove": list(words.does_not),
    }


def _trust(named: list[str]) -> Trust:
    lines = [line for each in named for line in _lines(each)]
    parsed = [parse_key(line) for line in lines]
    names = {key.name for key in parsed}
    if len(names) != 1:
        raise InputError(f"--key: expected keys of one log, got {len(names)}")
    return Trust(names.pop(), tuple(map(LogKey, parsed)))


def _lines(named: str) -> list[str]:
    """Return the verifier keys of a file, or the one that was named itself."""
    path = Path(named)
    if "+" in named and not path.exists():
        return [named.strip()]
    text = _read(path, MAX_KEYS_BYTES).decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise InputError(f"{path.name}: expected at most {limit} bytes")
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{safe(path.name)}: cannot be written: {error.strerror}") from None
    say(f"Wrote {path.name}.")

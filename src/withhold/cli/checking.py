"""What checking a file takes on the command line: files and keys as they were named, and the outcome.

An outcome is one document and some lines; ``--json`` prints the one, people see the others. A check that
fails has both too: the steps that held before, and what failed. The command then ends with exit code 2.

Not here: checking itself (`domain.receipts`, `domain.dataset_proofs`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from withhold.cli.output import give, say
from withhold.domain import dataset_proofs, receipts
from withhold.domain.checkpoints import LogKey, Trust
from withhold.domain.notes import NoteKey, parse_key, parse_note
from withhold.domain.steps import Step
from withhold.errors import InputError, VerificationError, WithholdError

MAX_KEYS_BYTES = 64 * 1024
NEITHER = "neither a receipt nor a proof"
KEY_FORM = "NAME+8 hex digits+base64, as `withhold keys` prints it"
NO_KEY = (
    "everything but who signed was checked, and holds; name the log's public key with --key, from "
    "wherever you trust it"
)

_RECEIPTS = (b'{"event":', b'{"format":')
_PAGES = (b"<!doctype html", b"<html")


class Outcome(NamedTuple):
    """What checking found.

    Attributes:
        document: for ``--json``.
        lines: for people.
        error: why the check failed, None when all holds.
    """

    document: dict[str, object]
    lines: tuple[str, ...]
    error: WithholdError | None = None

    def tell(self, *, as_json: bool) -> None:
        """Print it.

        Raises:
            WithholdError: the check failed.
        """
        if as_json:
            failed = {} if self.error is None else {"error": self.error.diagnostics()}
            give({**self.document, **failed})
        else:
            for line in self.lines:
                say(line)
        if self.error is not None:
            raise self.error


def failed(
    error: WithholdError, before: Callable[[int], tuple[Step, ...]], names: Iterable[str]
) -> Outcome:
    """Return the outcome of a check that an error ended.

    Args:
        error: says which step failed, if it was one.
        before: returns the steps before the one with a number.
        names: of all steps, in order.
    """
    step = error.step if isinstance(error, VerificationError) else None
    held = () if step is None else before(step)
    broken = () if step is None else (Step(tuple(names)[step - 1], str(error), holds=False),)
    steps = listed((*held, *broken))
    return Outcome({"verified": False, "steps": steps}, shown(held), error)


def listed(steps: Iterable[Step]) -> list[dict[str, object]]:
    """Return steps as JSON has them."""
    return [{"step": number, **step._asdict()} for number, step in enumerate(steps, start=1)]


def shown(steps: Iterable[Step]) -> tuple[str, ...]:
    """Return steps as people see them."""
    return tuple(
        f"{number}  {'ok' if step.holds else '--'}  {step.name}: {step.said}"
        for number, step in enumerate(steps, start=1)
    )


# --- what a file is -----------------------------------------------------------------------------------


def proof_in(data: bytes) -> dict[str, object] | None:
    """Return the proof about a dataset that a file is, None when it is something else.

    Raises:
        VerificationError: it says something twice, different things to different readers.
    """
    try:
        text = data.decode("utf-8-sig")  # by itself the reader would take other encodings, too
        document = json.loads(text)
        if not isinstance(document, dict) or document.get("format") != dataset_proofs.FORMAT:
            return None
        return json.loads(text, object_pairs_hook=_once)  # type: ignore[no-any-return]
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise VerificationError(
            "dataset proof, step 1 (form): it says something twice; expected every name once",
            step=1,
        )
    return found


def no_receipt(data: bytes) -> str | None:
    """Return what a file is that is not in the form of a receipt; None for a receipt that was altered."""
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return _by_its_beginning(start) or _by_its_form(data) or _no_receipt(data, start)


def _by_its_beginning(start: bytes) -> str | None:
    if not start:
        return f"this file is empty; it is {NEITHER}"
    if start.startswith(b"%pdf-"):
        return "this is a PDF; the receipt is the attached receipt.json: save that, and verify it"
    if start.startswith(_PAGES):
        return "this is a page to read; the receipt is a file of its own, receipt.json: verify that"
    return None


def _by_its_form(data: bytes) -> str | None:
    if _holds(lambda: parse_key(data.decode().split("\n")[0].strip())):
        return f"this is a file of keys, for --key; it is {NEITHER}"
    if _holds(lambda: parse_note(data)):
        return f"this is a signed checkpoint; it is {NEITHER}"
    return None


def _no_receipt(data: bytes, start: bytes) -> str | None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        if b'"withhold/dataset-proof/' in data:
            return (
                "this is a proof about a dataset, cut off or altered; use the file as it was given"
            )
        return None if start.startswith(_RECEIPTS) else f"this is {NEITHER}"
    name = document.get("format") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(name, str):
        return f"this is JSON, and {NEITHER}"
    if name not in receipts.FORMATS:
        known = ", ".join((*receipts.FORMATS, dataset_proofs.FORMAT))
        return (
            f"its format is {name[:64]!r}, which this version of withhold does not know; it knows "
            f"{known}; a newer version may know more"
        )
    if receipts.is_formed(document):
        return (
            "it was saved anew by another program, with other white space or in another order; use the "
            "original file, as it was given"
        )
    return None


def _holds(parse: Callable[[], object]) -> bool:
    try:
        parse()
    except (WithholdError, ValueError):
        return False
    return True


# --- keys and files -----------------------------------------------------------------------------------


def trust_of(named: Iterable[str]) -> Trust:
    """Return whom to believe: the keys that were named, or that are in files that were.

    Raises:
        InputError: one is neither a key nor a file of them, or they are of several logs.
    """
    keys = [LogKey(key) for each in named for key in _keys(each)]
    origins = sorted({each.key.name for each in keys})
    if len(origins) != 1:
        of = f": {', '.join(origins)}" if origins else ""
        raise InputError(
            f"--key: expected keys of one log, got those of {len(origins)}{of}; name those of the log "
            "that the file is of"
        )
    return Trust(origins[0], tuple(keys))


def _keys(named: str) -> Iterator[NoteKey]:
    for line in _lines(named):
        try:
            yield parse_key(line)
        except InputError as error:
            raise InputError(
                f"--key {named[:80]}: {str(error).removeprefix('key: ')}; `withhold keys` prints them"
            ) from None


def _lines(named: str) -> list[str]:
    """Return the verifier keys of a file, or the one that was named itself."""
    if not named.strip():
        raise InputError(f"--key: it is empty; expected a file of keys, or {KEY_FORM}")
    if not _is_there(named):
        if "+" in named:
            return [named.strip()]
        raise InputError(
            f"--key {named[:80]}: there is no such file, and it is no key; expected {KEY_FORM}"
        )
    text = read(Path(named), MAX_KEYS_BYTES).decode(errors="replace")
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise InputError(f"--key {named}: the file is empty; expected keys of one log, one a line")
    return found


def _is_there(named: str) -> bool:
    try:
        return Path(named).exists()
    except (OSError, ValueError):  # a long key is longer than any name of a file
        return False


def read(path: Path, limit: int) -> bytes:
    """Return a file's bytes.

    Raises:
        InputError: it cannot be read, or is larger than the limit.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise InputError(f"{path}: expected at most {limit} bytes")
    return data


def write(path: Path, data: bytes, *, over: bool = False, or_else: str = "remove it") -> None:
    """Write a file; one that is there with other content is left as it is.

    Args:
        path: where to.
        data: what.
        over: writes over other content.
        or_else: what else to do than to name another file.

    Raises:
        InputError: it cannot be written, or is there already.
    """
    try:
        if not over and path.is_file() and path.read_bytes() != data:
            raise InputError(
                f"{path}: it is there already and has other content; name another file, or {or_else}"
            )
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None

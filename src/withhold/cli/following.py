"""Checking that one checkpoint of a log follows from another: three files and a key, no installation.

Not here: making the proof (`withhold log consistency`), the arithmetic (`domain.tree`).
"""

from __future__ import annotations

import json
from pathlib import Path

from withhold.adapters.signing import verifies
from withhold.cli.checking import Outcome, failed, listed, read, shown, trust_of
from withhold.domain.checkpoints import Checkpoint, Trust, opened
from withhold.domain.notes import MAX_NOTE_BYTES, decoded
from withhold.domain.proofs import MAX_HASHES
from withhold.domain.steps import Step
from withhold.domain.tree import Proof, check_consistency
from withhold.errors import VerificationError, WithholdError

MAX_PROOF_BYTES = 256 * (MAX_HASHES + 1)  # each hash in hexadecimal, with room to set it out

STEPS = ("old", "new", "growth")


def followed(old: Path, new: Path, proof: Path, named: list[str]) -> Outcome:
    """Check that a log only grew from one checkpoint to another.

    Args:
        old: a file with the checkpoint that was kept.
        new: one with a newer checkpoint.
        proof: one with the proof between them.
        named: the log's keys, or files of them.
    """
    done: list[Step] = []
    try:
        trust = trust_of(named)
        before = _signed(old, trust, 1)
        done.append(_said("old", before))
        after = _signed(new, trust, 2)
        done.append(_said("new", after))
        _check_growth(before, after, _hashes(proof))
    except WithholdError as error:
        return failed(error, lambda _step: tuple(done), STEPS)
    size = before.head.size
    done.append(Step("growth", f"every entry up to {size:,} is as it was, in the same order"))
    told = {"origin": after.origin, "old": size, "new": after.head.size, "steps": listed(done)}
    line = f"The log {after.origin} only grew, from {size:,} entries to {after.head.size:,}."
    return Outcome({"verified": True, **told}, (*shown(done), "", line))


def _signed(path: Path, trust: Trust, step: int) -> Checkpoint:
    data = read(path, MAX_NOTE_BYTES)
    try:
        return opened(data, trust, verifies).checkpoint
    except VerificationError as error:
        where = f"{path}, step {step} ({STEPS[step - 1]})"
        raise VerificationError(f"{where}: {error}", step=step) from error


def _said(name: str, found: Checkpoint) -> Step:
    return Step(name, f"the log {found.origin} signed its tree of {found.head.size:,} entries")


def _check_growth(before: Checkpoint, after: Checkpoint, proof: Proof | None) -> None:
    where = "log, step 3 (growth)"
    if proof is None:
        expected = "expected hashes, one a line, or the JSON of /log/consistency"
        raise VerificationError(f"{where}: {expected}", step=3)
    if before.head.size > after.head.size:
        raise VerificationError(
            f"{where}: the checkpoint that was kept has {before.head.size} entries and the other "
            f"{after.head.size}; name the older one first, or else entries are missing",
            step=3,
        )
    try:
        check_consistency(before.head, after.head, proof)
    except VerificationError as error:
        raise VerificationError(f"{where}: {error}", step=3) from error


def _hashes(path: Path) -> Proof | None:
    """Return the hashes of a proof, as text or as JSON; None when it is neither."""
    text = read(path, MAX_PROOF_BYTES).decode(errors="replace")
    try:
        if not text.lstrip().startswith("{"):
            return tuple(map(decoded, text.split()))
        return tuple(map(bytes.fromhex, json.loads(text)["hashes"]))
    except (VerificationError, ValueError, KeyError, TypeError, RecursionError):
        return None

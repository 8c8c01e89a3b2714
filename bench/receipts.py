"""What checking a receipt costs: beside the two bare Ed25519 verifications in it, in one run.

    python -m bench.receipts [--entries 1000003] [--rounds 15]

The receipt stands in a tree of that many entries, so that its proof is as long as in a log of years. The
whole is `domain.receipts.verify`: the form, the statement written anew, the commitment, the proof, both
signatures. The bare side verifies the same two messages with `cryptography` and does nothing else.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console
from rich.table import Table

from bench.command import run
from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain import jws, policy_file, receipts
from withhold.domain.canonical_json import canonical
from withhold.domain.checkpoints import Checkpoint, LogKey, Trust, signed
from withhold.domain.ledger import SEALED, entry_bytes, sealed_commitment
from withhold.domain.names import Position
from withhold.domain.notes import SignatureType, parse_note
from withhold.domain.proofs import LogProof
from withhold.domain.statements import facts_of
from withhold.domain.tree import Frontier, inclusion_proof, leaf_hash, paired

SIGNER = SeedSigner("withhold/bench", SignatureType.ED25519, bytes(range(32)))
CALLS = 300  # in a row, before the other side's turn
TARGET_RATIO = 1.5
SIGNATURES = 2


@dataclass(frozen=True)
class Issued:
    """A receipt in a large tree, and the two messages that are signed in it."""

    data: bytes
    messages: tuple[tuple[bytes, bytes], ...]
    hashes: int


def issued(entries: int) -> Issued:
    """Return the receipt of an opt-out half-way in a log of so many entries."""
    position = Position(entries // 2 + 1)
    event = canonical(
        {
            "actor": "ana",
            "before": None,
            "effects": [[4711, 2]],
            "holder": "account",
            "kind": "opted_out",
            "notice": "2026-11-23",
            "product": "vibe",
            "recorded_at": 1_795_691_143_208,
            "requested_at": 1_795_691_143_201,
            "sequence": 2,
            "subject": "ana",
            "surface": "console",
            "v": 1,
        }
    )
    opening = hashlib.sha256(b"opening").digest()
    entry = entry_bytes(position, SEALED, sealed_commitment(opening, event))
    leaves = [hashlib.sha256(b"%d" % n).digest() for n in range(entries)]
    leaves[position - 1] = leaf_hash(entry)
    rows = [leaves]
    while len(rows[-1]) > 1:
        rows.append(paired(rows[-1]))
    path = inclusion_proof(position - 1, entries, lambda level, index: rows[level][index])
    head = Frontier().grown(leaves)[0].head()
    note = bytes(signed(Checkpoint(SIGNER.key.name, head), [SIGNER], 0))
    proof = LogProof(position - 1, path, note)
    return _receipt(position, event, opening, entry, proof)


def _receipt(
    position: Position, event: bytes, opening: bytes, entry: bytes, proof: LogProof
) -> Issued:
    text = (resources.files("withhold") / "policies" / "default.toml").read_text(encoding="utf-8")
    policy = policy_file.loads(text)
    facts = facts_of(json.loads(event), entry, position, SIGNER.key.name, policy)
    statement = receipts.unsigned(facts, SIGNER.key)
    text = statement.signed(SIGNER.sign(statement.message))
    parsed, checkpoint = jws.parse(text), parse_note(proof.checkpoint)
    messages = (
        (parsed.message, parsed.signature),
        (checkpoint.text.encode(), checkpoint.signatures[0].data),
    )
    document = receipts.full(text, proof, event, opening)
    return Issued(receipts.encoded(document), messages, len(proof.path))


def seconds_each(call: Callable[[], object]) -> float:
    """Return what one call takes."""
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - started) / CALLS


def main(entries: int = 1_000_003, rounds: int = 15) -> dict[str, float]:
    """Measure, print a table, and return the figures."""
    receipt = issued(entries)
    trust = Trust(SIGNER.key.name, (LogKey(SIGNER.key),))
    public = Ed25519PublicKey.from_public_bytes(SIGNER.key.public)

    def whole() -> None:
        receipts.verify(receipt.data, trust, verifies)

    def bare() -> None:
        for message, signature in receipt.messages:
            public.verify(signature, message)

    pairs = [(seconds_each(bare), seconds_each(whole)) for _ in range(rounds)]
    bare_us = statistics.median(b for b, _ in pairs) * 1e6
    whole_us = statistics.median(w for _, w in pairs) * 1e6
    ratio = statistics.median(w / b for b, w in pairs)
    table = Table(
        title=f"A receipt of {len(receipt.data):,} bytes, proof of {receipt.hashes} hashes"
    )
    table.add_column("")
    table.add_column("µs a signature", justify="right")
    table.add_column("µs", justify="right")
    table.add_row("bare Ed25519, two messages", f"{bare_us / SIGNATURES:.0f}", f"{bare_us:.0f}")
    table.add_row("the whole receipt", f"{whole_us / SIGNATURES:.0f}", f"{whole_us:.0f}")
    console = Console()
    console.print(table)
    verdict = "reached" if ratio <= TARGET_RATIO else "missed"
    console.print(f"ratio {ratio:.2f}; target at most {TARGET_RATIO}: {verdict}")
    return {
        "bytes": len(receipt.data),
        "hashes": receipt.hashes,
        "bare_us": bare_us,
        "whole_us": whole_us,
        "ratio": ratio,
    }


if __name__ == "__main__":
    run(main, __doc__)

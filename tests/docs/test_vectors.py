"""The vectors that a second implementation starts from are those of this one."""

from __future__ import annotations

import re
from hashlib import sha256

from tests.house.tree import ROOT
from withhold.adapters.signing import SeedSigner
from withhold.domain.absence import (
    Kind,
    check_absent,
    check_present,
    parse_tag_proof,
    tag_of,
    tag_secret,
)
from withhold.domain.checkpoints import Checkpoint, signature, signed
from withhold.domain.ledger import PUBLIC, entry_bytes, public_commitment
from withhold.domain.names import Position
from withhold.domain.notes import SignatureType
from withhold.domain.prefix_tree import crown_of, prove, sorted_tags
from withhold.domain.tree import Frontier, TreeHead, leaf_hash

DOCUMENT = (ROOT / "docs" / "formats-proofs.md").read_text(encoding="utf-8")
VECTORS = dict(re.findall(r"^\| ([^|]+) \| `([0-9a-f]+)` \|$", DOCUMENT, re.MULTILINE))
KEY = bytes(range(32))
TAGS = [sha256(bytes((number,))).digest() for number in range(9)]
TREE = sorted_tags(TAGS[:5])


def test_tags_and_roots_are_those_of_the_document() -> None:
    secret = tag_secret(KEY)
    assert {
        "u": secret.hex(),
        "tag of chat@4": tag_of(secret, "chat@4").hex(),
        "root of t0": crown_of(TAGS[0]).root.hex(),
        "root of t0, t1": crown_of(sorted_tags(TAGS[:2])).root.hex(),
        "root of t0 … t4": crown_of(TREE).root.hex(),
        "root of the three entries": _head().root.hex(),
    }.items() <= VECTORS.items()


def test_tag_proofs_are_those_of_the_document() -> None:
    root = crown_of(TREE).root
    for number, name, kind in (
        (0, "proof for t0, present", Kind.PRESENT),
        (5, "proof for t5, another tag", Kind.ABSENT_OTHER),
        (8, "proof for t8, no tag", Kind.ABSENT_EMPTY),
    ):
        assert bytes(prove(TAGS[number], crown_of(TREE), TREE)).hex() == VECTORS[name]
        proof = parse_tag_proof(bytes.fromhex(VECTORS[name]))
        assert proof.kind is kind
        check = check_present if kind is Kind.PRESENT else check_absent
        check(TAGS[number], proof, root)


def test_checkpoint_and_lines_are_those_of_the_document() -> None:
    log = SeedSigner("example.com/log", SignatureType.ED25519, KEY)
    witness = SeedSigner("witness.example/w", SignatureType.ED25519_COSIGNATURE, KEY)
    checkpoint = Checkpoint("example.com/log", _head())
    shown = "\n".join(line.removeprefix("    ") for line in DOCUMENT.split("\n"))
    assert f"\n{log.key}\n" in shown
    assert "\n" + bytes(signed(checkpoint, [log], 0)).decode() in shown
    assert "\n" + str(signature(witness, checkpoint, 1_790_000_000)) in shown


def _head() -> TreeHead:
    events = [b'{"n":%d}' % number for number in (1, 2, 3)]
    entries = [
        entry_bytes(Position(number), PUBLIC, public_commitment(event))
        for number, event in enumerate(events, 1)
    ]
    return Frontier().grown([leaf_hash(entry) for entry in entries])[0].head()

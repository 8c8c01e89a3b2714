"""Proofs that travel: their text, and that nothing in it can be altered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain.checkpoints import Checkpoint, LogKey, Trust, signed
from withhold.domain.ledger import PUBLIC, entry_bytes, public_commitment
from withhold.domain.names import Position
from withhold.domain.notes import SignatureType, encoded
from withhold.domain.proofs import (
    MAX_EXTRA_BYTES,
    MAX_PROOF_BYTES,
    LogProof,
    check_proof,
    parse_proof,
)
from withhold.domain.tree import Frontier, inclusion_proof, leaf_hash
from withhold.errors import VerificationError

ORIGIN = "example.com/log"
SIGNER = SeedSigner(ORIGIN, SignatureType.ED25519, bytes(32))
TRUST = Trust(ORIGIN, (LogKey(SIGNER.key),))
ENTRIES = [
    entry_bytes(Position(n), PUBLIC, public_commitment(b'{"n":%d}' % n)) for n in range(1, 12)
]
FRONTIER, NODES = Frontier().grown([leaf_hash(entry) for entry in ENTRIES])
NOTE = bytes(signed(Checkpoint(ORIGIN, FRONTIER.head()), [SIGNER], 0))


def proof(index: int, extra: bytes | None = None) -> LogProof:
    path = inclusion_proof(index, len(ENTRIES), lambda level, at: NODES[level][at])
    return LogProof(index, path, NOTE, extra)


def test_the_text_is_that_of_the_specification() -> None:
    made = proof(3, b"more")
    lines = bytes(made).decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 3"]
    assert lines[3:7] == [encoded(each) for each in made.path]
    assert lines[7] == ""
    assert bytes(made).endswith(b"\n\n" + NOTE)
    assert bytes(proof(3)).decode().split("\n")[1] == "index 3"


@pytest.mark.parametrize("index", range(len(ENTRIES)))
def test_whoever_has_the_entry_can_check_it(index: int) -> None:
    read = parse_proof(bytes(proof(index)))
    result = check_proof(leaf_hash(ENTRIES[index]), read, TRUST, verifies)
    assert result.checkpoint.head == FRONTIER.head()


@given(st.integers(0, 10), st.none() | st.binary(max_size=40))
def test_a_proof_is_parsed_into_what_it_was_made_of(index: int, extra: bytes | None) -> None:
    made = proof(index, extra)
    assert parse_proof(bytes(made)) == made


def test_the_proof_of_another_entry_does_not_hold() -> None:
    for other in (0, 2, 4):
        with pytest.raises(VerificationError, match="expected the root"):
            check_proof(leaf_hash(ENTRIES[other]), proof(3), TRUST, verifies)


def test_every_altered_bit_is_found() -> None:
    data, leaf = bytes(proof(3)), leaf_hash(ENTRIES[3])
    check_proof(leaf, parse_proof(data), TRUST, verifies)
    for place in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[place] ^= 1 << bit
            with pytest.raises(VerificationError):
                check_proof(leaf, parse_proof(bytes(altered)), TRUST, verifies)


def test_a_proof_cut_short_or_with_something_after_it_is_found() -> None:
    data, leaf = bytes(proof(3)), leaf_hash(ENTRIES[3])
    for wrong in (*(data[:end] for end in range(len(data))), data + b"\n", data + b"x"):
        with pytest.raises(VerificationError):
            check_proof(leaf, parse_proof(wrong), TRUST, verifies)


TEXT = bytes(proof(3)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT.replace("@v1", "@v2"),
        TEXT.replace("index 3", "index 03"),
        TEXT.replace("index 3", "index -3"),
        TEXT.replace("index 3", "index 9223372036854775808"),
        TEXT.replace("index 3\n", ""),
        TEXT.replace("index 3", "extra bad\nindex 3"),
        TEXT.replace("index 3", "extra QQ==\nextra QQ==\nindex 3"),
        TEXT.replace("index 3\n", "index 3\nQQ==\n"),
        TEXT.replace("index 3\n", "index 3\n" + (encoded(bytes(32)) + "\n") * 60),
        TEXT.replace("index 3", f"extra {encoded(bytes(MAX_EXTRA_BYTES + 1))}\nindex 3"),
        TEXT.replace("index 3", f"extra {encoded(bytes(300_000))}\nindex 3"),
    ],
)
def test_what_is_not_a_proof_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_proof(text.encode())


def test_a_proof_over_the_cap_is_not_even_parsed() -> None:
    with pytest.raises(VerificationError, match="proof: expected at most"):
        parse_proof(bytes(MAX_PROOF_BYTES + 1))


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(VerificationError):
        parse_proof(bytes(proof(3)).replace(b"index", b"ind\xffx"))


def test_a_proof_under_a_checkpoint_of_another_key_does_not_hold() -> None:
    stranger = SeedSigner(ORIGIN, SignatureType.ED25519, b"s" * 32)
    forged = bytes(signed(Checkpoint(ORIGIN, FRONTIER.head()), [stranger], 0))
    with pytest.raises(VerificationError, match="none of these keys"):
        check_proof(leaf_hash(ENTRIES[3]), replace(proof(3), checkpoint=forged), TRUST, verifies)

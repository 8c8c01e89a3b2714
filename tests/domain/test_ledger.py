"""Entries: the exact bytes, so that a second implementation can be written from this file."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.domain.ledger import (
    CHAIN_START,
    ENTRY_BYTES,
    PUBLIC,
    SEALED,
    chained,
    check_entry,
    commitment_in,
    entry_bytes,
    opening,
    public_commitment,
    sealed_commitment,
)
from withhold.domain.names import Position
from withhold.errors import VerificationError

BODY = b'{"kind":"opted_out"}'


def test_an_entry_is_built_as_documented() -> None:
    r = opening(b"k" * 32, 7)
    commitment = hashlib.sha256(b"withhold/leaf/v1\0" + r + BODY).digest()
    entry = b"withhold/entry/v1\0" + (42).to_bytes(8, "big") + b"\0" + commitment
    assert sealed_commitment(r, BODY) == commitment
    assert entry_bytes(Position(42), SEALED, commitment) == entry
    assert commitment_in(entry) == commitment
    assert (
        chained(CHAIN_START, entry)
        == hashlib.sha256(b"withhold/chain/v1\0" + bytes(32) + entry).digest()
    )
    public = hashlib.sha256(b"withhold/public/v1\0" + BODY).digest()
    assert public_commitment(BODY) == public


def test_openings_differ_by_subject_and_sequence() -> None:
    openings = {opening(key, n) for key in (b"k" * 32, b"o" * 32) for n in range(5)}
    assert len(openings) == 10


def test_an_entry_in_its_place_holds() -> None:
    entry = entry_bytes(Position(1), PUBLIC, public_commitment(BODY))
    check_entry(entry, Position(1), CHAIN_START, chained(CHAIN_START, entry))


@given(st.integers(0, ENTRY_BYTES - 1), st.integers(1, 255))
def test_any_altered_byte_of_an_entry_is_found(place: int, change: int) -> None:
    entry = entry_bytes(Position(1), PUBLIC, public_commitment(BODY))
    chain = chained(CHAIN_START, entry)
    altered = bytearray(entry)
    altered[place] ^= change
    with pytest.raises(VerificationError, match="entry 1"):
        check_entry(bytes(altered), Position(1), CHAIN_START, chain)


def test_an_entry_at_another_place_or_cut_short_is_found() -> None:
    entry = entry_bytes(Position(1), PUBLIC, public_commitment(BODY))
    chain = chained(CHAIN_START, entry)
    for bad, position, previous in (
        (entry, 2, CHAIN_START),
        (entry[:-1], 1, CHAIN_START),
        (entry, 1, b"x" * 32),
    ):
        with pytest.raises(VerificationError):
            check_entry(bad, Position(position), previous, chain)

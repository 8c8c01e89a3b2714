"""Checkpoints: what is signed, whom one believes, and every altered byte."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain.checkpoints import (
    MAX_SIZE,
    Checkpoint,
    LogKey,
    Trust,
    message,
    opened,
    parse_checkpoint,
    signature,
    signed,
)
from withhold.domain.notes import NoteKey, Signature, SignatureType, SignedNote, encoded
from withhold.domain.tree import EMPTY_ROOT, TreeHead
from withhold.errors import InputError, VerificationError

ORIGIN = "example.com/log"
NOW = 1_790_000_000
ROOT = sha256(b"root").digest()
CHECKPOINT = Checkpoint(ORIGIN, TreeHead(1234, ROOT))


def signer(name: str, kind: SignatureType, seed: int = 1) -> SeedSigner:
    return SeedSigner(name, kind, bytes([seed]) * 32)


LOG = signer(ORIGIN, SignatureType.ED25519)
QUANTUM = signer(ORIGIN, SignatureType.ML_DSA_44, 2)
FIRST = signer("witness.example/one", SignatureType.ED25519_COSIGNATURE, 3)
SECOND = signer("witness.example/two", SignatureType.ML_DSA_44, 4)
STRANGER = signer("stranger.example", SignatureType.ED25519, 5)
ALL = Trust(ORIGIN, (LogKey(LOG.key), LogKey(QUANTUM.key)), (FIRST.key, SECOND.key), 2)
ONLY_LOG = Trust(ORIGIN, (LogKey(LOG.key),))


def note(signers: Iterable[SeedSigner], checkpoint: Checkpoint = CHECKPOINT) -> bytes:
    return bytes(signed(checkpoint, signers, NOW))


# --- the text -----------------------------------------------------------------------------------------


def test_the_text_is_that_of_the_specification() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.head.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == text


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=30),
    st.integers(1, MAX_SIZE),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text("ab ", min_size=1, max_size=5), max_size=3),
)
def test_a_text_is_parsed_into_what_it_was_made_of(
    origin: str, size: int, root: bytes, extensions: list[str]
) -> None:
    checkpoint = Checkpoint(origin, TreeHead(size, root), tuple(extensions))
    assert parse_checkpoint(checkpoint.text) == checkpoint


def test_the_empty_tree_has_one_checkpoint() -> None:
    assert parse_checkpoint(f"o\n0\n{encoded(EMPTY_ROOT)}\n").head.size == 0
    with pytest.raises(VerificationError, match="root of a tree"):
        parse_checkpoint(f"o\n0\n{encoded(ROOT)}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n1\n{encoded(ROOT)}",
        f"o\n1\n{encoded(ROOT)}\n\n",
        f"o\n1\n\n{encoded(ROOT)}\n",
        f"\n1\n{encoded(ROOT)}\n",
        "o\n1\n",
        *(f"o\n{size}\n{encoded(ROOT)}\n" for size in ("01", "-1", "+1", " 1", "1_0", "x", "٣")),
        f"o\n{MAX_SIZE + 1}\n{encoded(ROOT)}\n",
        f"o\n{'9' * 400}\n{encoded(ROOT)}\n",
        f"o\n1\n{encoded(ROOT[:-1])}\n",
        f"o\n1\n{encoded(ROOT)[:-1]}\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(VerificationError):
        parse_checkpoint(text)


# --- what is signed -----------------------------------------------------------------------------------


def test_the_log_signs_the_text_itself() -> None:
    assert message(LOG.key, CHECKPOINT, NOW) == CHECKPOINT.text.encode()


def test_a_witness_signs_a_time_and_the_text() -> None:
    expected = f"cosignature/v1\ntime 1790000000\n{CHECKPOINT.text}".encode()
    assert message(FIRST.key, CHECKPOINT, NOW) == expected
    line = signature(FIRST, CHECKPOINT, NOW)
    assert line.data[:8] == NOW.to_bytes(8, "big")
    assert verifies(FIRST.key, expected, line.data[8:])


def test_ml_dsa_signs_names_time_and_head() -> None:
    expected = (
        b"subtree/v1\n\0"
        b"\x13witness.example/two"
        + NOW.to_bytes(8, "big")
        + b"\x0fexample.com/log"
        + bytes(8)
        + (1234).to_bytes(8, "big")
        + ROOT
    )
    assert message(SECOND.key, CHECKPOINT, NOW) == expected
    line = signature(SECOND, CHECKPOINT, NOW)
    assert len(line.data) == 8 + 2420
    assert verifies(SECOND.key, expected, line.data[8:])


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(VerificationError, match="at most 255 bytes, got 256"):
        message(SECOND.key, CHECKPOINT._replace(origin="o" * 256), NOW)


# --- whom one believes --------------------------------------------------------------------------------


def test_a_checkpoint_opens_with_the_keys_that_signed_it() -> None:
    result = opened(note([LOG, QUANTUM, FIRST, SECOND]), ALL, verifies)
    assert result.checkpoint == CHECKPOINT
    assert result.signed_by == (LOG.key, QUANTUM.key)
    assert result.witnessed == ((FIRST.key, NOW), (SECOND.key, NOW))


def test_any_one_key_of_the_log_is_enough() -> None:
    trust = replace(ALL, witnesses=(), quorum=0)
    for only in (LOG, QUANTUM):
        assert opened(note([only]), trust, verifies).signed_by == (only.key,)


def test_lines_of_unknown_keys_count_for_nothing() -> None:
    assert opened(note([STRANGER, LOG, FIRST]), ONLY_LOG, verifies).witnessed == ()
    namesake = signer(ORIGIN, SignatureType.ED25519, 9)
    with pytest.raises(VerificationError, match="none of these keys"):
        opened(note([STRANGER, namesake]), ONLY_LOG, verifies)


def test_a_witness_is_not_the_log_and_the_log_is_no_witness() -> None:
    with pytest.raises(VerificationError, match="none of these keys"):
        opened(note([FIRST, SECOND]), ALL, verifies)
    with pytest.raises(VerificationError, match="at least 2 witnesses, got 0"):
        opened(note([LOG, QUANTUM]), ALL, verifies)


def test_one_witness_twice_is_one_witness() -> None:
    with pytest.raises(VerificationError, match="at least 2 witnesses, got 1"):
        opened(note([LOG, FIRST, FIRST]), ALL, verifies)


def test_a_witness_that_gives_no_time_has_not_said_that_it_saw_it() -> None:
    timeless = signature(SECOND, CHECKPOINT, 0)
    signed_note = signed(CHECKPOINT, [LOG, FIRST], NOW)
    both = signed_note._replace(signatures=(*signed_note.signatures, timeless))
    with pytest.raises(VerificationError, match="at least 2 witnesses, got 1"):
        opened(bytes(both), ALL, verifies)


def test_a_time_beyond_all_times_is_refused() -> None:
    late = signature(FIRST, CHECKPOINT, MAX_SIZE + 1)
    good = signed(CHECKPOINT, [LOG], NOW)
    both = good._replace(signatures=(*good.signatures, late))
    with pytest.raises(VerificationError, match="that holds"):
        opened(bytes(both), ALL, verifies)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 65, 71, 73])
def test_a_line_of_another_length_is_refused(length: int) -> None:
    for known in (LOG, QUANTUM, FIRST, SECOND):
        line = Signature(known.key.name, known.key.id, bytes(length))
        with pytest.raises(VerificationError, match="that holds"):
            opened(bytes(SignedNote(CHECKPOINT.text, (line,))), ALL, verifies)


def test_a_line_of_a_known_key_that_does_not_hold_refuses_the_whole() -> None:
    other = CHECKPOINT._replace(head=TreeHead(1235, ROOT))
    for known in (LOG, QUANTUM, FIRST, SECOND):
        wrong = signature(known, other, NOW)
        good = signed(CHECKPOINT, [LOG, QUANTUM, FIRST, SECOND], NOW)
        both = SignedNote(good.text, (*good.signatures, wrong))
        with pytest.raises(VerificationError, match="that holds"):
            opened(bytes(both), ALL, verifies)


def test_the_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(VerificationError, match=r"a key of the log 'example.com/log' is needed"):
        opened(note([LOG]), replace(ONLY_LOG, origin="example.com/other"), verifies)


@pytest.mark.parametrize(("size", "opens"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_key_signs_only_the_sizes_it_was_in_use_for(size: int, opens: bool) -> None:
    trust = Trust(ORIGIN, (LogKey(LOG.key, first=100, last=199),))
    data = note([LOG], Checkpoint(ORIGIN, TreeHead(size, ROOT)))
    if opens:
        assert opened(data, trust, verifies).checkpoint.head.size == size
    else:
        with pytest.raises(VerificationError, match=f"signed it for size {size};"):
            opened(data, trust, verifies)


def test_after_a_rotation_old_and_new_checkpoints_open() -> None:
    new = signer(ORIGIN, SignatureType.ED25519, 7)
    trust = Trust(ORIGIN, (LogKey(LOG.key, last=500), LogKey(new.key, first=500)))
    old, turn, young = (Checkpoint(ORIGIN, TreeHead(size, ROOT)) for size in (499, 500, 501))
    assert opened(note([LOG], old), trust, verifies).signed_by == (LOG.key,)
    assert opened(note([LOG, new], turn), trust, verifies).signed_by == (LOG.key, new.key)
    assert opened(note([new], young), trust, verifies).signed_by == (new.key,)
    with pytest.raises(VerificationError, match="none of these keys"):
        opened(note([LOG], young), trust, verifies)


def test_keys_that_cannot_be_told_apart_are_refused() -> None:
    # found by trying: two numbers whose keys have one id under this name
    first, second = (
        NoteKey(FIRST.key.name, SignatureType.ED25519_COSIGNATURE, number.to_bytes(32, "big"))
        for number in (59_781, 82_181)
    )
    assert first.id == second.id
    with pytest.raises(InputError, match="have one id"):
        opened(note([LOG]), replace(ALL, witnesses=(first, second)), verifies)


# --- every byte ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("signers", [(LOG,), (LOG, FIRST)])
def test_every_altered_bit_of_a_checkpoint_is_found(signers: tuple[SeedSigner, ...]) -> None:
    trust = Trust(ORIGIN, (LogKey(LOG.key),), (FIRST.key,), len(signers) - 1)
    data = note(signers)
    opened(data, trust, verifies)
    for place in range(len(data)):
        for bit in range(8):
            altered = bytearray(data)
            altered[place] ^= 1 << bit
            with pytest.raises(VerificationError):
                opened(bytes(altered), trust, verifies)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_an_altered_byte_of_an_ml_dsa_signature_is_found(place: int, change: int) -> None:
    data = bytearray(QUANTUM_NOTE)
    data[place % len(data)] ^= change
    trust = Trust(ORIGIN, (LogKey(QUANTUM.key),))
    with pytest.raises(VerificationError):
        opened(bytes(data), trust, verifies)


QUANTUM_NOTE = note([QUANTUM])


def test_a_checkpoint_cut_short_or_with_something_after_it_is_found() -> None:
    data = note([LOG])
    for wrong in (
        *(data[:end] for end in range(len(data))),
        data + b"\n",
        data + b"x",
        data + data,
    ):
        with pytest.raises(VerificationError):
            opened(wrong, ONLY_LOG, verifies)

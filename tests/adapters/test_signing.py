"""Signing by the library: public vectors, and what is malformed."""

from __future__ import annotations

import pytest

from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain.notes import NoteKey, SignatureType
from withhold.errors import InputError

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


@pytest.mark.parametrize("kind", [SignatureType.ED25519, SignatureType.ED25519_COSIGNATURE])
def test_ed25519_gives_the_vector_of_its_rfc(kind: SignatureType) -> None:
    signer = SeedSigner("log", kind, SEED)
    assert signer.key == NoteKey("log", kind, PUBLIC)
    assert signer.sign(b"\x72") == SIGNATURE
    assert verifies(signer.key, b"\x72", SIGNATURE)


@pytest.mark.parametrize("kind", SignatureType)
def test_a_signature_holds_for_its_own_message_and_key_only(kind: SignatureType) -> None:
    signer, other = SeedSigner("log", kind, SEED), SeedSigner("log", kind, bytes(32))
    signature = signer.sign(b"message")
    assert verifies(signer.key, b"message", signature)
    assert not verifies(signer.key, b"messagf", signature)
    assert not verifies(other.key, b"message", signature)
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
        assert not verifies(signer.key, b"message", wrong)


def test_bytes_that_are_no_public_key_verify_nothing() -> None:
    for public in (b"\xff" * 32, bytes(32), b"\x01" + bytes(31)):
        key = NoteKey("log", SignatureType.ED25519, public)
        assert not verifies(key, b"message", SIGNATURE)


@pytest.mark.parametrize("kind", SignatureType)
def test_a_seed_of_another_length_is_refused(kind: SignatureType) -> None:
    with pytest.raises(InputError, match="expected a seed of 32 bytes, got 31"):
        SeedSigner("log", kind, bytes(31))

"""Keys that sign checkpoints, and checking what others signed, by the library `cryptography`.

A private key is its 32-byte seed, for both algorithms. Ed25519 signs every checkpoint; ML-DSA-44 costs
several commits and signs one at times, so that checkpoints of today still bind when Ed25519 no longer
does.

Source: RFC 8032 (Ed25519), FIPS 204 (ML-DSA, pure, with an empty context).
Not here: which bytes are signed (`domain.checkpoints`), where seeds are kept.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from withhold.domain.notes import NoteKey, SignatureType
from withhold.errors import InputError

SEED_BYTES = 32


class SeedSigner:
    """Implements `ports.Signer` over a seed in memory."""

    def __init__(self, name: str, kind: SignatureType, seed: bytes) -> None:
        """Take the key of a seed.

        Args:
            name: of the key; for a log, its origin.
            kind: what to sign with.
            seed: 32 bytes of the best chance there is.

        Raises:
            InputError: the name is not one, or the seed has another length.
        """
        if len(seed) != SEED_BYTES:
            raise InputError(f"key: expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
        private: Ed25519PrivateKey | MLDSA44PrivateKey
        if kind is SignatureType.ML_DSA_44:
            private = MLDSA44PrivateKey.from_seed_bytes(seed)
        else:
            private = Ed25519PrivateKey.from_private_bytes(seed)
        self._sign = private.sign
        self._key = NoteKey(name, kind, private.public_key().public_bytes_raw())

    @property
    def key(self) -> NoteKey:
        return self._key

    def sign(self, message: bytes, /) -> bytes:
        return self._sign(message)


def verifies(key: NoteKey, message: bytes, signature: bytes, /) -> bool:
    """Return whether the key made the signature; implements `ports.Verifier`."""
    known = _ml_dsa if key.type is SignatureType.ML_DSA_44 else _ed25519
    try:
        known(key.public).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: the key is no point of the curve
        return False
    return True


_ed25519 = lru_cache(maxsize=64)(Ed25519PublicKey.from_public_bytes)
_ml_dsa = lru_cache(maxsize=64)(MLDSA44PublicKey.from_public_bytes)

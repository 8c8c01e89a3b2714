"""The signing port: the log's private keys, and checking signatures."""

from __future__ import annotations

from typing import Protocol

from withhold.domain.notes import NoteKey, Signs, Verifies


class Signer(Signs, Protocol):
    """A private key of the log. It never leaves the adapter.

    Concurrency: any number of threads. Effects: none; a signature that nobody was shown binds nobody,
    so whoever signs shows it only after what it says is durable.
    """

    @property
    def key(self) -> NoteKey:
        """The public key, under the log's name."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Return the signature over exactly these bytes: 64 of Ed25519, 2,420 of ML-DSA-44.

        Raises:
            StorageError: the key cannot be used; nothing was signed.
        """
        ...


class Verifier(Verifies, Protocol):
    """Checks signatures of every type of `SignatureType`. Concurrency: any number of threads."""

    def __call__(self, key: NoteKey, message: bytes, signature: bytes, /) -> bool:
        """Return whether the key made the signature; anything malformed is False."""
        ...

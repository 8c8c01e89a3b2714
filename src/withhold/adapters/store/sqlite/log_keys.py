"""The log's own keys: seeds beside the subject keys, and which of them may sign which sizes.

A seed is on disk before an entry of the ledger puts its key into force, and it signs nothing before
that. The tree that ends with such an entry is signed by both keys: whoever trusts the old one learns the
new one from an entry that the old one signed for.

Source: design section 6; C2SP signed-note. Not here: signing itself (`adapters.signing`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import apsw

from withhold.adapters.signing import SeedSigner
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.checkpoints import LogKey
from withhold.domain.notes import NoteKey, SignatureType
from withhold.errors import StorageError


class LogKeys:
    """The signing keys of one home, for any number of threads and processes."""

    def __init__(self, keys: SubjectKeys) -> None:
        """Take the seeds; the first one is made with them."""
        self._seeds = keys
        self.origin = keys.log_name()
        self._signers: dict[str, SeedSigner] = {}
        self._in_force: tuple[int, tuple[LogKey, ...]] = (-1, ())

    def public(self, connection: apsw.Connection, replaced: int) -> tuple[LogKey, ...]:
        """Return every key and the sizes it may sign, the newest last.

        Args:
            connection: a snapshot, or the running transaction.
            replaced: how many replacements it holds: while that stays the same the keys do.

        Raises:
            StorageError: the seed of a key is not there.
        """
        if replaced != self._in_force[0]:
            self._in_force = (replaced, self._read(connection))
        return self._in_force[1]

    def signers(
        self, connection: apsw.Connection, replaced: int, size: int
    ) -> Sequence[SeedSigner]:
        """Return the keys that sign a tree of this size; arguments and errors as of `public`."""
        keys = self.public(connection, replaced)
        return [self._by_name(str(each.key)) for each in keys if each.may_sign(size)]

    def signer(self, key: NoteKey) -> SeedSigner:
        """Return what signs with a key.

        Raises:
            StorageError: its seed is not there.
        """
        return self._by_name(str(key))

    def new(self) -> str:
        """Make a seed, durably; return its public key as a verifier key."""
        seed = os.urandom(32)
        self._seeds.add_log_seed(seed)
        return str(self._signer_of(seed).key)

    def _read(self, connection: apsw.Connection) -> tuple[LogKey, ...]:
        keys = [LogKey(self._signer_of(self._seeds.log_seeds()[0]).key)]
        for position, text in connection.execute(
            "SELECT position, key FROM log_keys ORDER BY position"
        ):
            keys[-1] = LogKey(keys[-1].key, keys[-1].first, position)
            keys.append(LogKey(self._by_name(text).key, position))
        return tuple(keys)

    def _by_name(self, text: str) -> SeedSigner:
        if text not in self._signers:
            for seed in self._seeds.log_seeds():
                self._signer_of(seed)
        found = self._signers.get(text)
        if found is None:
            raise StorageError("the seed of a log key is missing; restore keys.db from a backup")
        return found

    def _signer_of(self, seed: bytes) -> SeedSigner:
        signer = SeedSigner(self.origin, SignatureType.ED25519, seed)
        return self._signers.setdefault(str(signer.key), signer)

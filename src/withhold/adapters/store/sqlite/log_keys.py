"""The log's own keys: seeds beside the subject keys, and which of them may sign which sizes.

They come in pairs: Ed25519 signs every checkpoint, ML-DSA-44 those that are kept. A pair of seeds is on
disk before an entry of the ledger puts its keys into force, and they sign nothing before that. The tree
that ends with such an entry is signed by the old keys and the new: whoever trusts the old one learns the
new one from an entry that the old one signed for. That tree may be the head of no commit, when others
share the flush; it is signed whenever somebody asks, for ever, so that no crash can lose it.

Source: design section 6; C2SP signed-note. Not here: signing itself (`adapters.signing`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import apsw

from withhold.adapters.signing import SEED_BYTES, SeedSigner
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.checkpoints import LogKey
from withhold.domain.notes import NoteKey, SignatureType
from withhold.errors import StorageError

_Keys = tuple[LogKey, ...]

REPLACED = "(SELECT coalesce(group_concat(position || ' ' || key), '') FROM log_keys)"
"""An expression of SQL: every replacement of the log's keys, as a text."""


class _InForce(NamedTuple):
    """The keys of both kinds after these replacements."""

    replaced: str | None
    first: _Keys
    second: _Keys
    signers: Sequence[tuple[LogKey, SeedSigner]]


class LogKeys:
    """The signing keys of one home, for any number of threads and processes."""

    def __init__(self, keys: SubjectKeys) -> None:
        """Take the seeds; the first pair is made with them."""
        self._seeds = keys
        self.origin = keys.log_name()
        self._signers: dict[str, SeedSigner] = {}
        self._in_force = _InForce(None, (), (), ())

    def public(self, connection: apsw.Connection, replaced: str) -> _Keys:
        """Return every Ed25519 key and the sizes it may sign, the newest last.

        Args:
            connection: a snapshot, or the running transaction.
            replaced: the replacements it holds, as `REPLACED` gives them: while they stay the same the
                keys do. Their number would not do: one may be undone, and another one come in its place.

        Raises:
            StorageError: the seed of a key is not there.
        """
        return self._at(connection, replaced).first

    def second(self, connection: apsw.Connection, replaced: str) -> _Keys:
        """Return every ML-DSA-44 key and the sizes it may sign; arguments and errors as of `public`."""
        return self._at(connection, replaced).second

    def signers(
        self, connection: apsw.Connection, replaced: str, size: int
    ) -> Sequence[SeedSigner]:
        """Return the keys that sign a tree of this size; arguments and errors as of `public`."""
        signers = self._at(connection, replaced).signers
        return [signer for key, signer in signers if key.may_sign(size)]

    def second_signers(
        self, connection: apsw.Connection, replaced: str, size: int
    ) -> Sequence[SeedSigner]:
        """Return the keys that sign a kept checkpoint of this size; the rest as of `public`."""
        keys = self.second(connection, replaced)
        return [self.signer(each.key) for each in keys if each.may_sign(size)]

    def signer(self, key: NoteKey) -> SeedSigner:
        """Return what signs with a key.

        Raises:
            StorageError: its seed is not there.
        """
        return self._by_name(str(key))

    def new(self) -> tuple[str, str]:
        """Make a pair of seeds, durably; return their public keys as verifier keys."""
        seeds = os.urandom(SEED_BYTES), os.urandom(SEED_BYTES)
        self._seeds.add_log_seeds(*seeds)
        first, second = self._pair_of(seeds)
        return str(first.key), str(second.key)

    def _at(self, connection: apsw.Connection, replaced: str) -> _InForce:
        found = self._in_force  # another thread may put those of another snapshot in its place
        if found.replaced != replaced:
            self._in_force = found = self._read(connection, replaced)
        return found

    def _read(self, connection: apsw.Connection, replaced: str) -> _InForce:
        seeds = self._seeds.log_seeds()
        if not seeds:
            raise StorageError("the seeds of the log are missing; restore keys.db from a backup")
        first, second = ([LogKey(signer.key)] for signer in self._pair_of(seeds[0]))
        for position, one, other in connection.execute(
            "SELECT position, key, second FROM log_keys ORDER BY position"
        ):
            for keys, text in ((first, one), (second, other)):
                keys[-1] = LogKey(keys[-1].key, keys[-1].first, position)
                keys.append(LogKey(self._by_name(text).key, position))
        signers = [(each, self.signer(each.key)) for each in first]
        return _InForce(replaced, tuple(first), tuple(second), signers)

    def _by_name(self, text: str) -> SeedSigner:
        if text not in self._signers:
            for seeds in self._seeds.log_seeds():
                self._pair_of(seeds)
        found = self._signers.get(text)
        if found is None:
            raise StorageError("the seed of a log key is missing; restore keys.db from a backup")
        return found

    def _pair_of(self, seeds: tuple[bytes, bytes]) -> tuple[SeedSigner, SeedSigner]:
        return (
            self._signer_of(SignatureType.ED25519, seeds[0]),
            self._signer_of(SignatureType.ML_DSA_44, seeds[1]),
        )

    def _signer_of(self, kind: SignatureType, seed: bytes) -> SeedSigner:
        signer = SeedSigner(self.origin, kind, seed)
        return self._signers.setdefault(str(signer.key), signer)

"""`Tags` in memory: sets of tags by their root, over keys that are no secret (those of `MemoryLedger`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from withhold.domain.absence import TagProof, tag_of, tag_secret
from withhold.domain.names import SubjectNo
from withhold.domain.prefix_tree import crown_of, prove, sorted_tags
from withhold.errors import VerificationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class MemoryTags:
    """The tags of a test. `erase` forgets a key, `lose` what is kept."""

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}
        self._erased: set[int] = set()

    def erase(self, subject: int) -> None:
        self._erased.add(subject)

    def lose(self, root: bytes) -> None:
        del self._kept[root]

    def secret(self, subject: SubjectNo) -> bytes | None:
        return None if subject in self._erased else tag_secret(f"key {subject}".encode())

    def keep(self, accounts: NDArray[np.uint32], dataset: str) -> bytes:
        tags = sorted_tags(self._tags(accounts, dataset))
        root = crown_of(tags).root
        self._kept[root] = tags
        return root

    def prove(self, root: bytes, tag: bytes) -> TagProof:
        if root not in self._kept:
            raise VerificationError("tags: they are missing")
        tags = self._kept[root]
        return prove(tag, crown_of(tags), tags)

    def check(self, root: bytes, accounts: NDArray[np.uint32], dataset: str) -> None:
        made, kept = self._tags(accounts, dataset), self._kept.get(root)
        missing = len(accounts) - len(made)
        if kept is None and missing:
            raise VerificationError("tags: they are missing, and cannot be made again")
        if kept is None and crown_of(sorted_tags(made)).root != root:
            raise VerificationError("tags: they do not have that root")
        if kept is not None:
            others = {kept[at : at + 32] for at in range(0, len(kept), 32)} - made
            if len(others) > missing or len(others) + len(made) != len(kept) // 32:
                raise VerificationError("tags: they are not those of the accounts")

    def _tags(self, accounts: NDArray[np.uint32], dataset: str) -> set[bytes]:
        secrets = [self.secret(SubjectNo(int(no))) for no in accounts]
        return {tag_of(secret, dataset) for secret in secrets if secret is not None}

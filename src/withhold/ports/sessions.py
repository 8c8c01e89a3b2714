"""The sessions port: who is signed in."""

from __future__ import annotations

from typing import Protocol

from withhold.domain.names import AccountId
from withhold.domain.sessions import Session


class Sessions(Protocol):
    """Sessions by the SHA-256 of their id; the id itself is only in the browser.

    Consistency: a session that was added, ended or swept is so for every process at once. Losing all
    of them signs everybody out and does nothing else.
    """

    def add(self, id_hash: bytes, session: Session) -> None:
        """Keep a session, durably; beyond `PER_ACCOUNT` of an account the oldest go.

        Raises:
            StorageError: the disk refused; there is no session.
        """
        ...

    def find(self, id_hash: bytes) -> Session | None:
        """Return a session, over or not; None when there is none of that id.

        Raises:
            StorageError: the store cannot be read.
        """
        ...

    def end(self, id_hash: bytes) -> None:
        """Forget a session, durably. Repeating it is harmless.

        Raises:
            StorageError: the disk refused; the session may still be there.
        """
        ...

    def end_all(self, account: AccountId) -> None:
        """Forget every session of an id, durably, and leave no bytes of the id.

        Raises:
            StorageError: the disk refused; sessions may still be there.
        """
        ...

    def sweep(self, now_ms: int) -> int:
        """Forget every session that ended by ``now_ms``; return how many.

        Raises:
            StorageError: the disk refused; none was forgotten.
        """
        ...

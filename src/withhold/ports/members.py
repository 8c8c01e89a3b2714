"""The members port: which accounts are in an organisation now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from withhold.domain.names import SubjectNo


class Members(Protocol):
    """The memberships of the directory, found from the organisation's side.

    It is derived from the directory and may be made anew from it at any time.
    """

    def now(self, organization: SubjectNo) -> Sequence[SubjectNo]:
        """Return the accounts that are members, in order of number.

        As they were at a position not below the head when this was called.

        Raises:
            StorageError: the directory cannot be read.
        """
        ...

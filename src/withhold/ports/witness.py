"""The witness port: who outside of the database has seen the ledger's head, and the gate that they shut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from withhold.domain.notes import Signature
from withhold.domain.witnesses import Prove


class Witness(Protocol):
    """Somebody who remembers the newest checkpoint of the log, where the ledger's writer cannot change it.

    Durability: what it answered for, it remembers. Concurrency: any number of threads and processes.
    """

    @property
    def name(self) -> str:
        """How people call it; it stays the same."""
        ...

    def show(self, note: bytes, prove: Prove, had: int) -> Sequence[Signature]:
        """Show it a checkpoint of the log; it remembers that, if the log follows from what it has seen.

        That it has seen a longer log says nothing of ours by itself: another process may have appended to
        it and shown it meanwhile. Only a head read after the answer that is still shorter is a fault.

        Args:
            note: signed.
            prove: makes consistency proofs up to the checkpoint's size.
            had: the size of the log that it is known to have seen, 0 for none.

        Returns:
            Its signature lines, checked; none from one that cannot sign.

        Raises:
            Missing: it has seen a longer log than it was shown. It remembers what it did before.
            VerificationError: it has seen another log, or forgot what it had seen; names the positions. It
                remembers what it did before.
            WitnessSilent: it did not answer, or nothing that can be understood.
        """
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What was last seen of the log.

    Attributes:
        checkpoint: signed.
        witnesses: by name the size that each witness had seen then, at least.
    """

    checkpoint: bytes
    witnesses: Mapping[str, int]


class Looks(Protocol):
    """A place outside of the ledger's database that keeps what was last seen of the log."""

    def last(self) -> Seen | None:
        """Return what was seen last, None for nothing yet.

        Raises:
            VerificationError: what is kept there is damaged.
            StorageError: it cannot be read.
        """
        ...

    def keep(self, seen: Seen) -> None:
        """Keep what was seen, durably, in the place of what was kept before.

        Raises:
            StorageError: the disk refused; what was kept before stays.
        """
        ...


class Gate(Protocol):
    """Whether anything may be recorded. Once shut it stays shut as long as the process runs."""

    @property
    def reason(self) -> str:
        """Why it is shut, in one sentence; empty while it is open."""
        ...

    @property
    def position(self) -> int | None:
        """The first entry that is missing or may differ, None while it is open or that is not known."""
        ...

    def shut(self, reason: str, position: int | None = None) -> None:
        """Let nothing more be recorded, by anybody in this process; the first reason stays."""
        ...

    def check(self) -> None:
        """Return while it is open.

        Raises:
            LedgerBehind: it is shut; says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches the ledger of a home.

    Attributes:
        gate: shut when somebody has seen a log that this one does not follow from.
        witnesses: as the operator named them.
        looks: the home's own, and the one of whoever uses the command line.
    """

    gate: Gate
    witnesses: tuple[Witness, ...] = ()
    looks: tuple[Looks, ...] = ()

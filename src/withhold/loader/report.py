"""What a reader reports: how much it yielded, and what was withheld from it and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from withhold.domain.canonical_json import Json
from withhold.domain.names import Position


@dataclass(frozen=True, slots=True)
class Report:
    """The account of one reader, as of now.

    Attributes:
        dataset: the version that is read, for example ``chat@3``.
        position: the ledger entry that committed it.
        head: the entry up to which every withdrawal is taken in.
        rows: all rows of the dataset's files.
        yielded: rows handed over so far, over all passes.
        withheld: rows that are withheld at ``head``, per reason, each row counted once.
        dropped_midway: how many of those were withdrawn after this reader opened the dataset.
        renewals: how often the lease was renewed.
    """

    dataset: str
    position: Position
    head: Position
    rows: int
    yielded: int
    withheld: Mapping[str, int]
    dropped_midway: int
    renewals: int

    def to_dict(self) -> dict[str, Json]:
        """Return the report as JSON values."""
        return {
            "dataset": self.dataset,
            "position": self.position,
            "head": self.head,
            "rows": self.rows,
            "yielded": self.yielded,
            "withheld": dict(self.withheld),
            "dropped_midway": self.dropped_midway,
            "renewals": self.renewals,
        }

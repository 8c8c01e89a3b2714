"""Exports: what is said about a copy of a dataset version, once, for every document that goes with it.

A statement holds no id of anybody: it goes to whoever trains. It says at which position of the ledger the
version was committed, at which one the copy was made, under which policy, and how many rows were withheld
for which reason.

Not here: how it is written (`formats.croissant`, `formats.dataset_card`, `formats.openlineage`), making it
(`services.exports`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from withhold.domain.admission import Reason
from withhold.domain.canonical_json import Json, canonical
from withhold.domain.datasets import Dataset, DatasetRef
from withhold.domain.names import Position, ProductId
from withhold.domain.policy import Purpose
from withhold.errors import InputError

MAX_CREATOR_CHARS = 200

_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_ADDRESS = re.compile(r"https?://[!-~]{1,500}")


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as it was written.

    Attributes:
        oldest: the lowest position of its rows; 0 when one of them is history.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str
    oldest: Position

    def body(self) -> dict[str, Json]:
        """Return what is said about it."""
        return {
            "name": self.name,
            "rows": self.rows,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a copy of a version.

    Attributes:
        cutoff: every withdrawal up to this entry is taken in.
        rows: how many.
        shards: the hex SHA-256 of the canonical JSON of what is said about each shard, in order.
    """

    cutoff: Position
    rows: int
    shards: str


@dataclass(frozen=True, slots=True)
class Export:
    """A copy that was made to be handed out, as the ledger has it.

    Attributes:
        dataset: the version, ``NAME@VERSION``.
        position: the entry that records it.
        recorded_at: UTC milliseconds since 1970 of that entry; shown, never compared.
    """

    dataset: str
    contents: Contents
    position: Position
    recorded_at: int


def shards_digest(shards: Sequence[Shard]) -> str:
    """Return the hex SHA-256 by which an entry names the shards of a copy."""
    return hashlib.sha256(canonical([shard.body() for shard in shards])).hexdigest()


def exported_body(dataset: Dataset, contents: Contents) -> dict[str, Json]:
    """Return the event body of an export."""
    return {
        "dataset": str(dataset.ref),
        "manifest": dataset.manifest.sha256(),
        "commit": dataset.position,
        "cutoff": contents.cutoff,
        "rows": contents.rows,
        "shards": contents.shards,
    }


@dataclass(frozen=True, slots=True)
class Terms:
    """What whoever exports says of a copy; it decides nothing.

    Attributes:
        license: an SPDX identifier, or the address of a license; None when none was given.
        creator: the organization that made the dataset; None when none was given.

    Raises:
        InputError: one of them is not of that form.
    """

    license: str | None = None
    creator: str | None = None

    def __post_init__(self) -> None:
        if self.license is not None and not (
            _SPDX.fullmatch(self.license) or _ADDRESS.fullmatch(self.license)
        ):
            raise InputError(
                f"license {self.license[:40]!r}: expected an SPDX identifier, for example CC-BY-4.0, "
                "or the address of a license"
            )
        creator = self.creator
        if creator is not None and not (
            creator.strip() and creator.isprintable() and len(creator) <= MAX_CREATOR_CHARS
        ):
            raise InputError(
                f"creator: expected one printable line of at most {MAX_CREATOR_CHARS} characters"
            )

    @property
    def license_address(self) -> str | None:
        """The address of the license; of an SPDX identifier its page in the SPDX license list."""
        if self.license is None or _ADDRESS.fullmatch(self.license):
            return self.license
        return f"https://spdx.org/licenses/{self.license}.html"


UNSTATED = Terms()
"""Nothing is said."""


@dataclass(frozen=True, slots=True)
class Timeframe:
    """When content was accepted, by the server's clock: UTC milliseconds since 1970, first and last."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class ExportStatement:
    """Everything that is said about an export.

    Attributes:
        purpose: what the product's data may be used for; None when it left the policy since.
        committed_at: the position of the version's entry.
        committed_at_ms: UTC milliseconds since 1970 of that entry; shown, never compared.
        position: every withdrawal up to this entry is taken in.
        entry: the entry that records the export.
        exported_at_ms: UTC milliseconds since 1970; shown, never compared.
        withheld: rows left out, per reason, each row counted once.
        collected: when the rows were accepted; None where the ledger cannot tell it for all of them.
        checkpoint: the ledger's signed checkpoint at or above ``entry``; None without one.
    """

    dataset: DatasetRef
    product: ProductId
    purpose: Purpose | None
    manifest_sha256: str
    committed_at: Position
    committed_at_ms: int
    position: Position
    entry: Position
    exported_at_ms: int
    rows: int
    withheld: Mapping[Reason, int]
    policy_version: str
    policy_digest: str
    shards: tuple[Shard, ...]
    terms: Terms = UNSTATED
    collected: Timeframe | None = None
    checkpoint: str | None = None

    @property
    def size_bytes(self) -> int:
        """The bytes of all shards."""
        return sum(shard.size_bytes for shard in self.shards)

    def body(self) -> dict[str, Json]:
        """Return what ``manifest.json`` says."""
        said: dict[str, Json] = {
            "format": "withhold/export/v1",
            "dataset": str(self.dataset),
            "product": self.product,
            "manifest_sha256": self.manifest_sha256,
            "committed_at_position": self.committed_at,
            "position": self.position,
            "entry": self.entry,
            "exported_at_ms": self.exported_at_ms,
            "rows": self.rows,
            "withheld": {reason.value: rows for reason, rows in self.withheld.items()},
            "policy": {"version": self.policy_version, "digest": self.policy_digest},
            "shards": [shard.body() for shard in self.shards],
        }
        if self.checkpoint is not None:
            said["checkpoint"] = self.checkpoint
        return said

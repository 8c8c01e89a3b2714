"""Datasets: versions, manifests, and what they promise.

A dataset version is a manifest: which lake files it reads (by hash), which rows its recipe selected,
under which policy, and where in the ledger it was committed. It holds no copy of any row: reading it
yields *selected minus withheld at the head*. Withheld sets only grow, so a version never regains a row.

The manifest's bytes are canonical JSON and its hash stands in the ledger's entry. A second entry, the
tagging, holds the root over the tags of everybody whose rows the version yielded when it was committed
(`absence`); it comes after the commit, so that a build costs nothing for each person.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from withhold.domain.absence import dataset_id
from withhold.domain.admission import Reason
from withhold.domain.canonical_json import Json, canonical
from withhold.domain.names import FileNo, Position, ProductId
from withhold.errors import InputError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_REFERENCE = re.compile(r"([a-z0-9][a-z0-9._-]{0,63})@([1-9][0-9]{0,8}|latest)")


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A version of a dataset: ``chat@3``; ``version`` None means the latest."""

    name: str
    version: int | None

    def __str__(self) -> str:
        """Return the reference as people write it."""
        return f"{self.name}@{self.version if self.version is not None else 'latest'}"


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A lake file of a manifest.

    Attributes:
        no: its number in the lake.
        sha256: hex digest of its bytes; also its name.
        size_bytes: its length.
        rows: how many rows it holds.
        selected: how many of them the recipe selected.
    """

    no: FileNo
    sha256: str
    size_bytes: int
    rows: int
    selected: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a dataset version consists of, before it is given a position.

    Attributes:
        cutoff: the position its files were decided at.
        withheld: rows per reason, each row counted once.
        parents: versions of the same name that came before, newest first, at most one.
    """

    name: str
    version: int
    product: ProductId
    files: tuple[ManifestFile, ...]
    admitted: int
    withheld: Mapping[Reason, int]
    cutoff: Position
    policy_version: str
    policy_digest: str
    parents: tuple[str, ...]

    def body(self) -> dict[str, Json]:
        """Return the manifest as JSON values."""
        return {
            "format": "withhold/manifest/v1",
            "name": self.name,
            "version": self.version,
            "product": self.product,
            "files": [
                {
                    "no": f.no,
                    "sha256": f.sha256,
                    "size_bytes": f.size_bytes,
                    "rows": f.rows,
                    "selected": f.selected,
                }
                for f in self.files
            ],
            "admitted": self.admitted,
            "withheld": {reason.value: rows for reason, rows in self.withheld.items()},
            "cutoff": self.cutoff,
            "policy": {"version": self.policy_version, "digest": self.policy_digest},
            "parents": list(self.parents),
        }

    def sha256(self) -> str:
        """Return the hex digest of the manifest's canonical bytes."""
        return hashlib.sha256(canonical(self.body())).hexdigest()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A committed version.

    Attributes:
        position: the entry that committed it.
        committed_at: UTC milliseconds since 1970 of that entry; shown, never compared.
    """

    manifest: Manifest
    position: Position
    committed_at: int

    @property
    def ref(self) -> DatasetRef:
        """The version's name."""
        return DatasetRef(self.manifest.name, self.manifest.version)

    @property
    def tagged_as(self) -> str:
        """What the tags of this version are made for."""
        return dataset_id(str(self.ref), self.manifest.sha256())


@dataclass(frozen=True, slots=True)
class Tagging:
    """The entry with the root over a version's tags.

    Attributes:
        commit: the entry that committed the version.
        position: the entry that holds the root.
        root: 32 bytes, of the prefix tree.
    """

    commit: Position
    position: Position
    root: bytes


def committed_body(manifest: Manifest, log_root: bytes) -> dict[str, Json]:
    """Return the event body of a commit.

    Args:
        manifest: of the version.
        log_root: the root of the log's tree of the size ``manifest.cutoff``.
    """
    body = manifest.body()
    kept = ("name", "version", "product", "admitted", "withheld", "cutoff", "parents")
    return {
        **{name: body[name] for name in kept},
        "policy": manifest.policy_digest,
        "manifest": manifest.sha256(),
        "log_root": log_root.hex(),
    }


def tagged_body(dataset: Dataset, root: bytes) -> dict[str, Json]:
    """Return the event body of a tagging. It goes to everybody who is given a proof: no counts."""
    return {
        "dataset": str(dataset.ref),
        "manifest": dataset.manifest.sha256(),
        "commit": dataset.position,
        "root": root.hex(),
    }


def parse_name(text: str) -> str:
    """Return a valid dataset name.

    Raises:
        InputError: it is not one.
    """
    if not _NAME.fullmatch(text):
        raise InputError(
            f"dataset name {text[:80]!r}: expected lower-case letters, digits, '.', '_' or '-', "
            "at most 64, for example chat"
        )
    return text


def parse_ref(text: str) -> DatasetRef:
    """Return the version that ``name@3`` or ``name@latest`` names.

    Raises:
        InputError: it is not of that form.
    """
    match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise InputError(
            f"dataset {str(text)[:80]!r}: expected name@version, for example chat@3 or chat@latest"
        )
    version = match[2]
    return DatasetRef(match[1], None if version == "latest" else int(version))

"""The dataset card of an export: a README with the metadata that the Hugging Face hub reads.

``datasets.load_dataset(folder)`` finds shards, split and features in it. Only what is known is said:
languages, tasks and the bytes of decoded rows (and with them ``splits``) are left out. Positions, policy
and counts stand under the key ``withhold``, which the hub keeps as it is. No id of anybody is in it.

Not here: writing the file (`adapters.exports`), publishing on a hub.
"""

from __future__ import annotations

from pathlib import PurePath

import yaml

from withhold.domain.canonical_json import Json
from withhold.domain.exports import ExportStatement
from withhold.domain.times import utc
from withhold.formats.croissant import described, usage
from withhold.formats.quantity import quantity

FILE = "README.md"
_SIZES = (
    *((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")),
    *((10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B")),
    *((10_000_000_000, "1B<n<10B"), (100_000_000_000, "10B<n<100B"), (10**12, "100B<n<1T")),
)
"""The hub's size categories, each up to a number of rows."""

_TURN: list[Json] = [
    {"name": "role", "dtype": "string"},
    {"name": "content", "dtype": "string"},
]


def text(said: ExportStatement) -> str:
    """Return the card of an export: metadata as YAML, then the same for people."""
    head = yaml.safe_dump(metadata(said), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{head}---\n\n{_for_people(said)}"


def metadata(said: ExportStatement) -> dict[str, Json]:
    """Return the metadata that the hub reads, as values."""
    found: dict[str, Json] = {"pretty_name": str(said.dataset)}
    address = said.terms.license_address
    if said.terms.license == address:
        found |= {} if address is None else _other_license(address)
    else:
        found["license"] = str(said.terms.license).lower()
    found["tags"] = ["withhold"]
    found["size_categories"] = [
        next((name for rows, name in _SIZES if said.rows < rows), "n>1T"),
    ]
    if said.shards:
        path = f"part-*{PurePath(said.shards[0].name).suffix}"
        found["configs"] = [
            {"config_name": "default", "data_files": [{"split": "train", "path": path}]}
        ]
        found["dataset_info"] = {
            "features": [{"name": "messages", "list": _TURN}],
            "download_size": said.size_bytes,
        }
    found["withhold"] = _origin(said)
    return found


def _other_license(address: str) -> dict[str, Json]:
    return {"license": "other", "license_name": "see-link", "license_link": address}


def _origin(said: ExportStatement) -> dict[str, Json]:
    found: dict[str, Json] = {
        "dataset": str(said.dataset),
        "product": said.product,
        "committed_at_position": said.committed_at,
        "position": said.position,
        "entry": said.entry,
        "rows": said.rows,
        "manifest_sha256": said.manifest_sha256,
        "policy_version": said.policy_version,
        "policy_digest": said.policy_digest,
        "withheld": {reason.value: rows for reason, rows in said.withheld.items()},
    }
    if said.checkpoint is not None:
        found["checkpoint"] = said.checkpoint
    return found


def _for_people(said: ExportStatement) -> str:
    lines = [
        f"# {said.dataset}",
        "",
        described(said),
        "",
        f"**Use.** {usage(said)}",
        "",
        "| | |",
        "|---|---|",
        f"| committed | at position {said.committed_at}, {utc(said.committed_at_ms)} |",
        f"| exported | as of position {said.position}, {utc(said.exported_at_ms)}; entry {said.entry} |",
        f"| rows | {said.rows} in {quantity(len(said.shards), 'shard')}, {said.size_bytes} bytes |",
        *(
            f"| withheld: {r.value.replace('_', ' ')} | {rows} |"
            for r, rows in said.withheld.items()
        ),
        f"| policy | {said.policy_version}, SHA-256 `{said.policy_digest}` |",
        f"| manifest | SHA-256 `{said.manifest_sha256}` |",
    ]
    if said.collected is not None:
        start, end = utc(said.collected.start_ms), utc(said.collected.end_ms)
        lines.append(f"| accepted | between {start} and {end} |")
    lines += [
        "",
        "Every row is `messages`, a list of `role` and `content`.",
        "`manifest.json` holds the hash of every shard, `croissant.json` the same as Croissant 1.1.",
    ]
    if said.checkpoint is not None:
        lines += ["", "The ledger's checkpoint:", "", "```", said.checkpoint.rstrip("\n"), "```"]
    return "\n".join(lines) + "\n"

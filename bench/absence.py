"""What it costs to prove that somebody is not in a dataset: its tags, their tree, and the proofs.

    python -m bench.absence [--tags 1000000] [--rows 3000000] [--json]

(a) the arithmetic alone, one core: secrets, tags, and the tree over them (what a tagging pays for given
    tags: sorting and hashing), and proofs from memory;
(b) the same kept beside the lake, from subjects' keys to a durable file, with bounded memory, and proofs
    from that file as the server makes them: opened, mapped, proven, closed;
(c) a version over the corpus of the other benchmarks: tagging it, beside building it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.corpus import FIRST_ACCOUNT, VIBE, corpus
from bench.proofs import median_us
from withhold.adapters.lake.tags import TagFiles
from withhold.domain.absence import check_absent, check_present, parse_tag_proof, tag_of, tag_secret
from withhold.domain.datasets import Dataset
from withhold.domain.names import SubjectNo
from withhold.domain.parties import PartyKind
from withhold.domain.prefix_tree import crown_of, prove, sorted_tags
from withhold.ports import Ports
from withhold.services import builds, tagging

DATASET = "chat@4:" + "00" * 32
SAMPLE = 20_000  # proofs whose size is taken
TIMED = 500  # proofs whose time is taken
TURNS = 5
TARGET_PER_SECOND = 400_000
TARGET_BYTES = 1_024
TARGET_MAKE_US = 1_000
TARGETS = {
    "tree_per_second": f"at least {TARGET_PER_SECOND:,}",
    "present_bytes_most": f"at most {TARGET_BYTES:,}",
    "absent_bytes_most": f"at most {TARGET_BYTES:,}",
    "kept_make_us": f"at most {TARGET_MAKE_US:,}",
}
Figures = dict[str, float]


def main(tags: int = 1_000_000, rows: int = 3_000_000) -> Figures:
    """Measure, print a table, and return the figures."""
    figures = {"tags": float(tags), "rows": float(rows)}
    if tags <= 2_000_000:  # in memory a tag is several objects
        figures |= _arithmetic(tags)
    figures |= _kept(tags)
    if rows:
        with corpus(rows) as ports:
            figures |= _version(ports)
    _print(figures)
    return figures


# --- the arithmetic -----------------------------------------------------------------------------------


def _arithmetic(count: int) -> Figures:
    clock = time.perf_counter
    keys = [_key(n) for n in range(count)]
    began = clock()
    secrets = [tag_secret(key) for key in keys]
    derived = clock()
    tags = [tag_of(secret, DATASET) for secret in secrets]
    hashed = clock()
    ascending = sorted_tags(tags)
    crown = crown_of(ascending)
    built = clock()
    figures = {
        "secrets_per_second": count / (derived - began),
        "tags_per_second": count / (hashed - derived),
        "tree_per_second": count / (built - hashed),  # sorting included
        "subjects_per_second": count / (built - began),  # everything, from their keys on
    }
    some = tags[:: max(1, count // SAMPLE)]
    for what, each, check in (
        ("present", some, check_present),
        ("absent", _strangers(SAMPLE), check_absent),
    ):
        proofs = [bytes(prove(tag, crown, ascending)) for tag in each]
        figures[f"{what}_make_us"] = median_us(
            [partial(prove, tag, crown, ascending) for tag in each[:TIMED]]
        )
        figures[f"{what}_check_us"] = median_us(
            [
                partial(_parsed_and_checked, check, tag, data, crown.root)
                for tag, data in zip(each[:TIMED], proofs, strict=False)
            ]
        )
        figures |= _sizes(what, proofs)
    return figures


def _key(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def _strangers(count: int) -> list[bytes]:
    return [sha256(b"stranger %d" % n).digest() for n in range(count)]


def _sizes(what: str, proofs: list[bytes]) -> Figures:
    lengths = [*map(len, proofs)]
    return {f"{what}_bytes_mean": statistics.mean(lengths), f"{what}_bytes_most": max(lengths)}


def _parsed_and_checked(check: Callable[..., None], tag: bytes, data: bytes, root: bytes) -> None:
    check(tag, parse_tag_proof(data), root)


# --- kept beside the lake -----------------------------------------------------------------------------


def _kept(count: int) -> Figures:
    def keys(subjects: Iterable[int]) -> Iterator[bytes | None]:
        return map(_key, subjects)

    with tempfile.TemporaryDirectory(prefix="withhold-bench-") as folder:
        files = TagFiles(Path(folder), keys)
        accounts = np.arange(1, count + 1, dtype=np.uint32)
        began = time.perf_counter()
        root = files.keep(accounts, DATASET)
        seconds = time.perf_counter() - began
        strangers = _strangers(SAMPLE)
        proofs = [files.prove(root, tag) for tag in strangers]
        for tag, proof in zip(strangers, proofs, strict=True):
            check_absent(tag, proof, root)
        return {
            "kept_per_second": count / seconds,
            "kept_seconds": seconds,
            "kept_bytes": float(files.path(root).stat().st_size),
            "kept_make_us": median_us([partial(files.prove, root, t) for t in strangers[:TIMED]]),
        } | _sizes("absent", [*map(bytes, proofs)])


# --- a version over the corpus ------------------------------------------------------------------------


def _version(ports: Ports) -> Figures:
    accounts = _people(ports)
    built = [_built(ports) for _ in range(1 + TURNS)][1:]
    seconds, entries = [], []
    for _, dataset in built[:3]:
        began = time.perf_counter()
        root = tagging.keep(ports, dataset)
        kept = time.perf_counter()
        ports.datasets.tag(dataset, root, ports.clock.now_ms())
        entries.append(time.perf_counter() - kept)
        seconds.append(kept - began)
    began = time.perf_counter()
    found = tagging.yielded(ports, built[-1][1])
    decided = time.perf_counter() - began
    return {
        "version_accounts": float(len(found.accounts)),
        "version_of": float(accounts),
        "version_build_ms": 1e3 * statistics.median(each for each, _ in built),
        "version_tag_ms": 1e3 * statistics.median(seconds),
        "version_decide_ms": 1e3 * decided,  # a part of it: rows decided, accounts found
        "version_entry_ms": 1e3 * statistics.median(entries),
    }


def _built(ports: Ports) -> tuple[float, Dataset]:
    began = time.perf_counter()
    dataset = builds.build(ports, "chat", VIBE)
    seconds = time.perf_counter() - began
    assert isinstance(dataset, Dataset)
    return seconds, dataset


def _people(ports: Ports) -> int:
    """Make subjects of the corpus's account parties, each with a key; return how many."""
    ledger: Any = ports.ledger
    control, keys = ledger._control, ledger._keys  # noqa: SLF001 (no port makes people of parties)
    control.run(
        lambda connection: connection.execute(
            "UPDATE parties SET subject = no - ? WHERE kind = ?",
            (FIRST_ACCOUNT - 1, int(PartyKind.ACCOUNT)),
        )
    )
    with control.read() as connection:
        most = int(connection.execute("SELECT max(subject) FROM parties").get)
    for no in range(1, most + 1):
        keys.give(SubjectNo(no))
    return most


def _print(figures: Figures) -> None:
    table = Table(title=f"Absence, {figures['tags']:,.0f} tags, {figures['rows']:,.0f} rows")
    for column in ("", "measured", "target"):
        table.add_column(column, justify="left" if not column else "right")
    for name, value in figures.items():
        shown = f"{value:,.1f}" if name.endswith("_ms") else f"{value:,.0f}"
        table.add_row(name.replace("_", " "), shown, TARGETS.get(name, ""))
    Console(stderr=True).print(table)


if __name__ == "__main__":
    run(main, __doc__)

"""What it costs to prove that somebody is not in a dataset: building its prefix tree, and its proofs.

    python -m bench.absence [--tags 1000000] [--json]

One core. *tree* is what a commit pays for given tags: sorting them and hashing the tree. *subjects* is
everything, from the subjects' keys on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256

from rich.console import Console
from rich.table import Table

from bench.proofs import median_us
from withhold.domain.absence import check_absent, check_present, parse_tag_proof, tag_of, tag_secret
from withhold.domain.prefix_tree import crown_of, prove, sorted_tags

SAMPLE = 20_000  # proofs whose size is taken
TARGET_PER_SECOND = 400_000
TARGET_BYTES = 1_024
Figures = dict[str, float]


def main(tags: int = 1_000_000) -> Figures:
    """Measure, print a table, and return the figures."""
    figures = {"tags": float(tags)} | _tagged(tags)
    _print(figures)
    return figures


def _tagged(count: int) -> Figures:
    clock = time.perf_counter
    keys = [sha256(b"%d" % n).digest() for n in range(count)]
    began = clock()
    secrets = [tag_secret(key) for key in keys]
    derived = clock()
    tags = [tag_of(secret, "chat@4") for secret in secrets]
    hashed = clock()
    ascending = sorted_tags(tags)
    crown = crown_of(ascending)
    built = clock()
    del keys, secrets
    figures = {
        "secrets_per_second": count / (derived - began),
        "tags_per_second": count / (hashed - derived),
        "tree_per_second": count / (built - hashed),  # sorting included
        "subjects_per_second": count / (built - began),  # everything, from their keys on
    }
    some = tags[:: max(1, count // SAMPLE)]
    strangers = [sha256(b"stranger %d" % n).digest() for n in range(SAMPLE)]
    for what, each, check in (
        ("present", some, check_present),
        ("absent", strangers, check_absent),
    ):
        proofs = [bytes(prove(tag, crown, ascending)) for tag in each]
        figures[f"{what}_make_us"] = median_us(
            [partial(prove, tag, crown, ascending) for tag in each[:500]]
        )
        figures[f"{what}_check_us"] = median_us(
            [
                partial(_parsed_and_checked, check, tag, data, crown.root)
                for tag, data in zip(each[:500], proofs, strict=False)
            ]
        )
        figures[f"{what}_bytes_mean"] = statistics.mean(map(len, proofs))
        figures[f"{what}_bytes_most"] = max(map(len, proofs))
    return figures


def _parsed_and_checked(check: Callable[..., None], tag: bytes, data: bytes, root: bytes) -> None:
    check(tag, parse_tag_proof(data), root)


def _print(figures: Figures) -> None:
    table = Table(title=f"Absence, {figures['tags']:,.0f} tags")
    for column in ("", "measured", "target"):
        table.add_column(column)
    targets = {
        "tree_per_second": f"at least {TARGET_PER_SECOND:,}",
        "present_bytes_most": f"at most {TARGET_BYTES:,}",
        "absent_bytes_most": f"at most {TARGET_BYTES:,}",
    }
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,.0f}", targets.get(name, ""))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tags", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    asked = vars(parser.parse_args())
    as_json = asked.pop("json")
    found = main(**asked)
    if as_json:
        print(json.dumps(found))

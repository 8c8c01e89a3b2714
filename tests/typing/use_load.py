"""How callers use the public library; checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path

import withhold


def read(home: Path) -> int:
    with withhold.load(
        "chat@3", home=home, lease_seconds=10, columns=("id",), batch_rows=8
    ) as data:
        rows: int = sum(batch.num_rows for batch in data.batches())
        for sample in data:
            text: object = sample["id"]
            print(text)
        withheld: dict[str, int] = dict(data.report().withheld)
        return rows + len(data) + data.rows + sum(withheld.values())


def refused() -> None:
    withhold.load("chat@3", leese_seconds=10)  # type: ignore[call-arg]
    withhold.load(3)  # type: ignore[arg-type]


version: str = withhold.__version__

"""The demo's figures: what was admitted and withheld, by plan, kept beside the data for the start page."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

FILE = "demo.json"
TOKEN_FILE = "demo-token"  # noqa: S105 (a file's name)


class PlanFigures(msgspec.Struct, frozen=True):
    """One plan.

    Attributes:
        product: the product's label.
        plan: the plan's label.
        sent: interactions that were sent.
        not_stored: of those, rows refused at capture, by reason.
        admitted: rows the dataset yields.
        withheld: stored rows the dataset does not yield, by reason.
    """

    product: str
    plan: str
    accounts: int
    sent: int
    not_stored: dict[str, int]
    admitted: int
    withheld: dict[str, int]


class Figures(msgspec.Struct, frozen=True):
    """All plans; ``is_done`` is false while the demo is being loaded."""

    is_done: bool
    datasets: list[str] = []
    plans: list[PlanFigures] = []


def read(home: Path) -> Figures | None:
    """Return the figures, None when there are none."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Figures)
    except (OSError, msgspec.DecodeError):
        return None


def write(home: Path, figures: Figures) -> None:
    """Keep the figures; a crash leaves the earlier ones or these."""
    fresh = home / (FILE + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(figures))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(home / FILE)


_WORDS = {
    "account_off": "off",
    "organization_off": "off by their organization",
    "plan_default": "off by default",
}


def say(rows: dict[str, int]) -> str:
    """Return counts by reason in words: ``12 off, 3 plan locked``."""
    words = {reason: _WORDS.get(reason, reason.replace("_", " ")) for reason in rows}
    return ", ".join(f"{count:,} {words[reason]}" for reason, count in rows.items())

"""Training opt-outs that hold.

    with withhold.load("chat@3") as data:
        for batch in data.batches():
            ...

What is named here is the public library; everything else may change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from withhold.loader import load

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import the loader on first use, so that ``import withhold.errors`` needs no Arrow."""
    if name == "load":
        from withhold.loader import load  # noqa: PLC0415 (the point of this function)

        return load
    raise AttributeError(f"module 'withhold' has no attribute {name!r}")

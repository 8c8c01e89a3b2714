"""The demo: real dialogues, accounts on every plan, a first dataset. See `load`."""

from __future__ import annotations

from withhold.demo.load import is_wanted, load
from withhold.demo.people import offered

__all__ = ["is_wanted", "load", "offered"]

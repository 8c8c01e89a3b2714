"""The Admin Console: pages with a navigation on the side (articles A5 and A10)."""

from __future__ import annotations

from withhold.web.console.routes import HANDLERS

__all__ = ["HANDLERS"]

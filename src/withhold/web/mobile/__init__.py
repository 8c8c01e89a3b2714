"""The mobile web app: a settings application that can be installed (article A8)."""

from __future__ import annotations

HANDLERS = ()

__all__ = ["HANDLERS"]

"""The mobile web app: a settings application that can be installed (article A8)."""

from __future__ import annotations

from withhold.web.mobile.install import HANDLERS as INSTALL
from withhold.web.mobile.routes import HANDLERS as PAGES

HANDLERS = (*INSTALL, *PAGES)

__all__ = ["HANDLERS"]

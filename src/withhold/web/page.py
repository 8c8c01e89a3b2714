"""The start page: what is running, what the demo showed, what to try next.

Plain HTML without scripts, styled by one file of our own; everything is escaped, and the content
security policy lets nothing else in. It only reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litestar import Request, Response, get

from withhold import __version__
from withhold.domain.datasets import Dataset
from withhold.ports import Ports
from withhold.services import lookups
from withhold.web import figures
from withhold.web.auth import ports_of
from withhold.web.rendering import page
from withhold.web.routes import off_loop

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NEWEST = 8  # versions that are shown


@get("/")
async def get_start(request: Request[Any, Any, Any]) -> Response[str]:
    """Give the start page."""
    home: Path = request.app.state.home
    known = await off_loop(_known, ports_of(request), home, str(request.base_url).rstrip("/"))
    known["offered"] = bool(request.app.state.offered)
    return page("start.html", known, {**SECURITY, "Cache-Control": "no-store"})


def _known(ports: Ports, home: Path, address: str) -> dict[str, Any]:
    newest = list(ports.datasets.all())[-NEWEST:][::-1]
    shown = figures.read(home)
    return {
        "version": __version__,
        "is_read_only": bool(ports.watch.gate.reason),
        "position": ports.ledger.head(),
        "home": str(home.absolute()),
        "address": address,
        "figures": shown if shown is not None and shown.is_done else None,
        "datasets": [_dataset(ports, dataset) for dataset in newest],
        "token": str((home / figures.TOKEN_FILE).absolute()),
    }


def _dataset(ports: Ports, dataset: Dataset) -> dict[str, Any]:
    # a ledger that is read-only yields nothing, and nobody can say what it would
    view = None if ports.watch.gate.reason else lookups.show(ports, dataset.ref)
    return {
        "reference": str(dataset.ref),
        "position": dataset.position,
        "committed": dataset.manifest.admitted,
        "now": None if view is None else view.admitted,
        "withdrawn": None if view is None else view.withdrawn,
    }

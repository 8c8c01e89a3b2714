"""Receipts, over HTTP: the file, the page to print, the PDF."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from withhold.domain.receipts import Document
from withhold.errors import InputError
from withhold.ports import Ports
from withhold.services import receipts
from withhold.web import receipt_page
from withhold.web.auth import Scope, ports_of
from withhold.web.routes import Route, off_loop

_ROUTE = Route(
    "The receipt of an entry: its file, or by Accept or a suffix (.html, .pdf) a page or a PDF",
    frozenset({Scope.PREFERENCES, Scope.AUDIT}),
    queries=("form",),
    errors=(400, 404),
)
_FORMS = {"full": receipts.receipt, "redacted": receipts.redacted}


@get("/receipts/{receipt_id:str}", **_ROUTE.stated())
async def get_receipt(
    request: Request[Any, Any, Any], receipt_id: FromPath[str]
) -> Response[bytes]:
    """Give the receipt; ``?form=redacted`` leaves out whose it is."""
    position, dot, suffix = receipt_id.partition(".")
    kind = suffix if dot else _asked(request)
    form = request.query_params.get("form", "full")
    if form not in _FORMS:
        raise InputError(f"form: expected full or redacted, got {form[:20]!r}")
    document, keys = await off_loop(_made, ports_of(request), form, position)
    return await off_loop(receipt_page.given, document, keys, kind)


def _asked(request: Request[Any, Any, Any]) -> str:
    """Return what the Accept header prefers; the file when it does not say."""
    kinds = {media: kind for kind, media in receipt_page.KINDS.items()}
    media = request.accept.best_match(list(kinds), default=receipt_page.JSON)
    return kinds[media or receipt_page.JSON]


def _made(ports: Ports, form: str, position: str) -> tuple[Document, list[str]]:
    return _FORMS[form](ports, position), receipts.keys(ports)

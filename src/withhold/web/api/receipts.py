"""Receipts, over HTTP."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

from withhold.services import receipts
from withhold.web.auth import Scope, ports_of
from withhold.web.routes import Route, answer, off_loop

_ROUTE = Route(
    "The receipt of an entry", frozenset({Scope.PREFERENCES, Scope.AUDIT}), errors=(404,)
)


@get("/receipts/{receipt_id:str}", **_ROUTE.stated())
async def get_receipt(
    request: Request[Any, Any, Any], receipt_id: FromPath[str]
) -> Response[bytes]:
    """Give the entry with its event, its opening and its chain."""
    return answer(await off_loop(receipts.receipt, ports_of(request), receipt_id))

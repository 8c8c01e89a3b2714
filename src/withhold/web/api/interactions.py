"""Interactions: taken in by the batch, deleted one by one or by conversation; the head to stamp them."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.params import FromPath, FromQuery

from withhold.domain.names import Position, ProductId
from withhold.formats.interactions import WireInteraction, decode_lines
from withhold.ports import Ports
from withhold.services import capture, deletion
from withhold.web import answers, bodies
from withhold.web.auth import ANY, Scope, ports_of
from withhold.web.routes import Route, answer, lanes_of, off_loop

_SCOPES = frozenset({Scope.CAPTURE})
_DELETE_INTERACTION = Route(
    "Delete an interaction", _SCOPES, answers.Deleted, queries=("product",), errors=(400, 404)
)
_DELETE_CONVERSATION = Route(
    "Delete a conversation", _SCOPES, answers.Deleted, queries=("product",), errors=(400, 404)
)


@get("/head", **Route("The ledger's head, and a capture token for it", ANY, answers.Head).stated())
async def get_head(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the head and a capture token, to be taken before content is accepted."""
    position, token = await off_loop(capture.capture_token, ports_of(request))
    return answer(answers.Head(position, token))


@post(
    "/interactions",
    **Route(
        "Take in interactions",
        _SCOPES,
        answers.Captured,
        WireInteraction,
        many=True,
        errors=(400, 413, 415),
    ).stated(),
)
async def post_interactions(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take in a batch; the answer comes after its rows are durable."""
    ports = ports_of(request)
    # before the body: an opt-out and opt-in during the upload must not make its rows look newer
    head = await off_loop(ports.ledger.head)
    raw = await bodies.read_many(request)
    return answer(await off_loop(take, ports, raw, head, lane=lanes_of(request).capture))


@delete("/interactions/{row_id:str}", **_DELETE_INTERACTION.stated())
async def delete_interaction(
    request: Request[Any, Any, Any], row_id: FromPath[str], product: FromQuery[str | None] = None
) -> Response[bytes]:
    """Delete an interaction, in one product or in every one."""
    where = ProductId(product) if product is not None else None
    lane = lanes_of(request).deletion
    rows = await off_loop(deletion.delete_interaction, ports_of(request), row_id, where, lane=lane)
    request.app.state.upkeep.wake()
    return answer(answers.Deleted(rows))


@delete("/conversations/{name:str}", **_DELETE_CONVERSATION.stated())
async def delete_conversation(
    request: Request[Any, Any, Any], name: FromPath[str], product: FromQuery[str | None] = None
) -> Response[bytes]:
    """Delete a conversation: its rows, and every row of it that is still to come."""
    where = ProductId(product) if product is not None else None
    lane = lanes_of(request).deletion
    rows = await off_loop(deletion.delete_conversation, ports_of(request), name, where, lane=lane)
    request.app.state.upkeep.wake()
    return answer(answers.Deleted(rows))


def take(ports: Ports, raw: bytes, head: Position) -> answers.Captured:
    """Decode and capture a batch, on one thread; its rows are stamped with ``head``."""
    return answers.captured(capture.capture(ports, decode_lines(raw), head=head))

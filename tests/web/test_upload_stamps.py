"""Rows without a token are stamped with a head from before their body was read, however long that takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.web.conftest import Api, chat
from withhold.domain.directory import SubjectKind
from withhold.domain.names import ProductId
from withhold.services.preferences import PreferenceRequest, set_preference
from withhold.web.application import make_application


def _request(token: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/interactions",
        "raw_path": b"/v1/interactions",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/x-ndjson"),
        ],
        "server": ("test", 80),
        "client": ("test", 1),
        "state": {},
    }


async def _uploaded(
    api: Api, rows: list[dict[str, Any]], between: Callable[[], None]
) -> dict[str, Any]:
    """Send the first row, do something, send the others, and return the answer."""
    first, *others = [json.dumps(row).encode() + b"\n" for row in rows]
    pieces, answered = [first], asyncio.Event()
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if pieces:
            return {"type": "http.request", "body": pieces.pop(), "more_body": True}
        if not sent:
            sent.append(b"")
            await asyncio.to_thread(between)
            return {"type": "http.request", "body": b"".join(others), "more_body": False}
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))

    application = make_application(api.ports, api.home)
    await application(_request(api.token), receive, send)  # type: ignore[arg-type]
    answered.set()
    answer: dict[str, Any] = json.loads(b"".join(sent))
    return answer


def test_an_opt_out_and_in_during_an_upload_withholds_its_rows(api: Api) -> None:
    for name in ("ana", "bo"):
        api.account(name)
    head = api.ports.ledger.head()

    def out_and_in() -> None:
        for allowed in (False, True):
            set_preference(
                api.ports,
                PreferenceRequest(SubjectKind.ACCOUNT, "ana", ProductId("vibe"), allowed),
            )

    rows = [chat("r1", "ana"), chat("r2", "bo"), chat("r3", "ana")]
    answer = asyncio.run(_uploaded(api, rows, out_and_in))
    assert (answer["accepted"], answer["withheld"], answer["position"]) == (1, 2, head)

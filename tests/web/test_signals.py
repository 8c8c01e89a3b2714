"""Signals over HTTP: a row carries its own; the headers of the provider's server count for nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import Api, chat

REFUSES: dict[str, Any] = {"gpc": True, "content_usage": "train-ai=n"}


def test_a_row_that_came_with_a_refusal_is_withheld_and_explained(api: Api) -> None:
    api.account("ana")
    rows = [
        chat("gpc", "ana", signals={"gpc": True}),
        chat("usage", "ana", signals={"content_usage": "train-ai=n"}),
        chat("unclear", "ana", signals={"content_usage": "train-ai"}),
        chat("silent", "ana", signals={"gpc": False, "content_usage": "train-ai=y"}),
        chat("wrong", "ana", signals={"gpc": "yes"}),
    ]
    answered = api.send("POST", "/v1/interactions", json=rows).json()
    assert (answered["accepted"], answered["withheld"]) == (1, 3)
    assert [r["line"] for r in answered["rejected"]] == [5]
    assert api.build()["admitted"] == 1


def test_a_refusal_counts_whatever_the_switch_says_and_consent_counts_never(api: Api) -> None:
    api.account("ana")
    assert api.turn("ana", True).json()["allowed"] is True
    assert api.chat("r1", "ana", signals=REFUSES)["withheld"] == 1
    api.turn("ana", False)
    consents = {"gpc": False, "content_usage": "train-ai=y"}
    assert api.chat("r2", "ana", signals=consents)["withheld"] == 1
    assert api.send("GET", "/v1/accounts/ana/preferences/vibe").json()["allowed"] is False


@pytest.mark.parametrize("path", ["/v1/interactions", "/v1/check"])
def test_headers_of_the_providers_own_server_opt_nobody_out(api: Api, path: str) -> None:
    api.account("ana")
    head = api.ports.ledger.head()
    headers = {"Sec-GPC": "1", "Content-Usage": "train-ai=n"}
    if path == "/v1/check":
        body: Any = {"product": "vibe", "accounts": ["ana"]}
        expected = {"allowed": [True]}
    else:
        body, expected = [chat("r1", "ana")], {"accepted": 1, "withheld": 0}
    answered = api.send("POST", path, json=body, headers=headers).json()
    assert {key: answered[key] for key in expected} == expected
    assert api.ports.ledger.head() == head
    assert api.send("GET", "/v1/accounts/ana/preferences/vibe").json()["allowed"] is True


def test_the_api_document_describes_signals(api: Api) -> None:
    schemas = api.send("GET", "/v1/openapi.json").json()["components"]["schemas"]
    assert set(schemas["WireSignals"]["properties"]) == {"gpc", "content_usage"}

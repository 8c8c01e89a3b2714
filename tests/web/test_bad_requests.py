"""What is wrong gets a clear answer that names the place, and nothing is admitted by accident."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.web.conftest import Api, chat
from withhold.web import bodies
from withhold.web.application import API
from withhold.web.auth import Scope
from withhold.web.problems import CONTENT_TYPE

JSON = {"Content-Type": "application/json"}
PREFERENCE = "/v1/accounts/ana/preferences/vibe"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"allowed": 1}', "allowed"),
        ('{"allowed": "true"}', "allowed"),
        ('{"allowed": null}', "allowed"),
        ("{}", "allowed"),
        ('{"allowed": true, "force": true}', "force"),
        ('{"allowed": false, "allowed": true}', "twice"),
        ("[]", "body"),
        ("", "body"),
        ('{"allowed": tru', "body"),
        ("\x00", "body"),
        ("[" * 100_000, "body"),
    ],
)
def test_only_true_and_false_turn_the_switch(api: Api, body: str, place: str) -> None:
    api.account("ana", plans={"vibe": "free"}, opens="out")
    head = api.ports.ledger.head()
    refused = api.send("PUT", PREFERENCE, content=body, headers=JSON)
    assert refused.status_code == 400
    assert place in refused.json()["detail"]
    assert api.ports.ledger.head() == head


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/accounts/ana", {"plans": {"vibe": "gold"}}, 422),
        ("/v1/accounts/ana", {"plans": {"tango": "free"}}, 422),
        ("/v1/accounts/ana", {"plans": ["vibe"]}, 400),
        ("/v1/accounts/ana", {"organizations": [{"id": "nowhere", "role": "member"}]}, 422),
        ("/v1/accounts/ana", {"organizations": [{"id": "nowhere", "role": "owner"}]}, 400),
        ("/v1/accounts/ana", {"opens": "ajar"}, 400),
        ("/v1/accounts/" + "x" * 300, {}, 400),
        ("/v1/organizations/acme", {"plans": {"vibe": 3}}, 400),
        ("/v1/organizations/acme", {"title": "Acme"}, 400),
        ("/v1/accounts/nobody/preferences/vibe", {"allowed": True}, 404),
        ("/v1/organizations/nowhere/preferences/vibe", {"allowed": True}, 404),
        ("/v1/accounts/nobody/preferences/tango", {"allowed": True}, 404),
    ],
)
def test_wrong_puts_are_refused_and_append_nothing(
    api: Api, path: str, body: dict[str, Any], status: int
) -> None:
    head = api.ports.ledger.head()
    refused = api.send("PUT", path, json=body)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == CONTENT_TYPE
    assert api.ports.ledger.head() == head


@pytest.mark.parametrize(
    "row",
    [
        chat("", "ana"),
        chat("r", "nobody"),
        chat("r", "ana", product="tango"),
        chat("r", "ana", kind="poem"),
        chat("r", "ana", organization="nowhere"),
        chat("r", "ana", token="forged"),
        chat("r", "ana", messages="hello"),
        chat("r", "ana", messages=[{"role": "user", "content": 5}]),
        chat("r", "ana", is_public=True),
        chat("r", "ana", kind="document"),
        chat("r", "ana", kind="feedback"),
        chat("r", "ana", attachments=["not a hash"]),
    ],
)
def test_wrong_rows_are_rejected_with_their_line(api: Api, row: dict[str, Any]) -> None:
    api.account("ana")
    answered = api.send("POST", "/v1/interactions", json=[row, chat("good", "ana")])
    assert answered.status_code == 200
    assert answered.json()["accepted"] == 1
    assert [rejected["line"] for rejected in answered.json()["rejected"]] == [1]


def test_a_rejection_never_repeats_what_was_sent(api: Api) -> None:
    api.account("ana")
    secret = "my-secret-diagnosis"
    row = chat("r", "ana", kind=secret, **{secret: secret})
    answered = api.send("POST", "/v1/interactions", json=[row])
    assert answered.json()["rejected"]
    assert secret not in answered.text
    assert secret not in api.send("PUT", PREFERENCE, json={"allowed": secret}).text
    assert secret not in api.send("PUT", "/v1/accounts/ana", json={"opens": secret}).text


def test_an_altered_token_is_rejected(api: Api) -> None:
    api.account("ana")
    token = api.send("GET", "/v1/head").json()["token"]
    altered = ("x" if token[5] != "x" else "y").join((token[:5], token[6:]))
    answered = api.send("POST", "/v1/interactions", json=[chat("r", "ana", token=altered)]).json()
    assert (answered["accepted"], len(answered["rejected"])) == (0, 1)


def test_a_broken_array_is_refused_whole(api: Api) -> None:
    api.account("ana")
    body = "[" + json.dumps(chat("r", "ana")) + ", {"
    refused = api.send("POST", "/v1/interactions", content=body, headers=JSON)
    assert refused.status_code == 400
    assert api.build()["admitted"] == 0


def test_bodies_over_the_cap_are_refused_before_they_are_read(api: Api) -> None:
    api.account("ana")
    large = b'{"allowed": true, "x": "' + b"x" * bodies.MAX_OBJECT_BYTES + b'"}'
    assert api.send("PUT", PREFERENCE, content=large, headers=JSON).status_code == 413
    pieces = (large[at : at + 65_536] for at in range(0, len(large), 65_536))  # no Content-Length
    assert api.send("PUT", PREFERENCE, content=pieces, headers=JSON).status_code == 413


@pytest.mark.parametrize("sent", ["text/plain", "application/xml", "multipart/form-data"])
def test_another_content_type_is_refused(api: Api, sent: str) -> None:
    for method, path in (("PUT", PREFERENCE), ("POST", "/v1/interactions")):
        refused = api.send(method, path, content="{}", headers={"Content-Type": sent})
        assert refused.status_code == 415
        assert refused.headers["content-type"] == CONTENT_TYPE


@pytest.mark.parametrize("sent", ["12", 'W/"12"', '"x"', '"1", "2"', '"-1"'])
def test_an_if_match_that_is_not_ours_is_refused(api: Api, sent: str) -> None:
    api.account("ana")
    refused = api.turn("ana", True, headers={"If-Match": sent})
    assert refused.status_code == 400
    assert "If-Match" in refused.json()["detail"]


@pytest.mark.parametrize("sent", ["", "x" * 300, "a b"])
def test_an_idempotency_key_that_is_not_one_is_refused(api: Api, sent: str) -> None:
    api.account("ana")
    assert api.turn("ana", False, headers={"Idempotency-Key": sent}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datasets/chat@1",
        "/v1/datasets/chat",
        "/v1/datasets/CHAT@0",
        "/v1/receipts/99",
        "/v1/receipts/x",
        "/v1/receipts/-1",
        "/v1/accounts/nobody/preferences",
        "/v1/nothing",
    ],
)
def test_what_is_not_there_is_a_404(api: Api, path: str) -> None:
    refused = api.send("GET", path)
    assert refused.status_code == 404
    assert refused.headers["content-type"] == CONTENT_TYPE
    assert refused.json()["instance"] == path


def test_unknown_accounts_look_alike(api: Api) -> None:
    bodies_seen = set()
    for name in ("nobody", "a", "ana@example.org", "x" * 256):
        refused = api.send("GET", f"/v1/accounts/{name}/preferences")
        assert refused.status_code == 404
        bodies_seen.add(json.dumps({**refused.json(), "instance": ""}))
    assert len(bodies_seen) == 1


@pytest.mark.parametrize(
    "body", [{"product": "tango"}, {"product": 1}, {}, {"product": "vibe", "x": 1}]
)
def test_a_build_of_something_else_is_refused(api: Api, body: dict[str, Any]) -> None:
    refused = api.send("POST", "/v1/datasets/chat/versions", json=body)
    assert refused.status_code in {400, 422}
    assert api.send("GET", "/v1/datasets").json() == {"datasets": []}


def test_a_dataset_name_that_is_not_one_is_refused(api: Api) -> None:
    refused = api.send("POST", "/v1/datasets/No Such/versions", json={"product": "vibe"})
    assert refused.status_code == 400


def _calls() -> list[tuple[str, str, frozenset[Scope]]]:
    return [
        (method, re.sub(r"[{}]|:str", "", f"/v1{next(iter(handler.paths))}"), handler.opt["scopes"])
        for handler in API
        for method in sorted(handler.http_methods - {"HEAD", "OPTIONS"})
    ]


@pytest.mark.parametrize(("method", "path", "scopes"), _calls())
def test_every_route_wants_a_token_with_its_scope(
    api: Api, method: str, path: str, scopes: frozenset[Scope]
) -> None:
    anonymous = api.client.request(method, path)
    assert anonymous.status_code == 401
    assert anonymous.headers["www-authenticate"] == "Bearer"
    for wrong in ("wh_forged", "", "x" * 5000, "b\xe4d"):
        headers = {"Authorization": f"Bearer {wrong}".encode("latin-1")}
        assert api.client.request(method, path, headers=headers).status_code == 401
    basic = {"Authorization": f"Basic {api.token}"}
    assert api.client.request(method, path, headers=basic).status_code == 401
    for scope in set(Scope) - scopes:
        assert api.send(method, path, api.token_for(scope)).status_code == 403


def test_an_error_that_is_not_ours_tells_nothing(api: Api) -> None:
    api.account("ana")
    api.client.app.state["ports"] = None  # the worst that can happen to the composition
    refused = api.client.get("/healthz")
    assert refused.status_code == 500
    assert set(refused.json()) == {"type", "title", "status", "instance"}

"""The walk of the README, and what each route answers when all is well."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import withhold
from tests.web.conftest import Api, chat
from withhold.web.auth import Scope


def yielded(api: Api, dataset: str) -> set[str]:
    with withhold.load(dataset, home=api.home) as data:
        return {row for batch in data.batches() for row in batch.column("id").to_pylist()}


def test_an_opted_out_account_is_in_no_dataset_old_or_new(api: Api) -> None:
    api.account("ana")
    api.account("ben")
    assert api.chat("ana-1", "ana")["accepted"] == 1
    assert api.chat("ben-1", "ben")["accepted"] == 1
    assert api.build()["admitted"] == 2
    assert yielded(api, "chat@1") == {"ana-1", "ben-1"}

    confirmed = api.turn("ana", False)
    assert confirmed.status_code == 200
    position = confirmed.json()["position"]
    assert confirmed.headers["etag"] == f'"{position}"'
    assert position == api.ports.ledger.head()

    assert yielded(api, "chat@1") == {"ben-1"}
    assert api.build() | {"committed_at": ""} == {
        "name": "chat",
        "version": 2,
        "product": "vibe",
        "position": position + 1,
        "committed_at": "",
        "admitted": 1,
        "withheld": {"account_off": 1},
    }
    assert yielded(api, "chat@2") == {"ben-1"}
    old = api.send("GET", "/v1/datasets/chat@1").json()
    assert (old["admitted"], old["now"]["admitted"]) == (2, 1)
    assert api.chat("ana-2", "ana")["withheld"] == 1


def test_the_answer_about_a_preference_has_every_field_of_the_contract(api: Api) -> None:
    api.account("ana")
    answered = api.turn("ana", False).json()
    assert set(answered) == {
        "allowed", "source", "locked", "position", "confirmed_at", "receipt_url", "reason",
    }  # fmt: skip
    assert answered["allowed"] is False
    assert answered["source"] == "account"
    assert answered["locked"] is False
    assert answered["confirmed_at"].endswith("Z")
    receipt = api.send("GET", answered["receipt_url"]).json()
    assert receipt["position"] == answered["position"]
    assert json.loads(receipt["event"])["kind"] == "opted_out"


def test_no_change_answers_the_standing_entry(api: Api) -> None:
    api.account("ana")
    first = api.turn("ana", False).json()
    head = api.ports.ledger.head()
    assert api.turn("ana", False).json() == first
    assert api.ports.ledger.head() == head


def test_preferences_of_all_products_are_given_by_product(api: Api) -> None:
    api.account("ana")
    api.turn("ana", False, "studio")
    found = api.send("GET", "/v1/accounts/ana/preferences").json()
    assert {product: each["allowed"] for product, each in found.items()} == {
        "vibe": True,
        "studio": False,
    }
    one = api.send("GET", "/v1/accounts/ana/preferences/studio")
    assert one.json() == found["studio"]
    assert one.headers["etag"] == f'"{found["studio"]["position"]}"'


def test_a_lock_refuses_on_and_takes_off(api: Api) -> None:
    api.organization("acme", vibe="teams", studio="free")
    api.account("ana", organizations=[{"id": "acme", "role": "admin"}])
    refused = api.send("PUT", "/v1/organizations/acme/preferences/vibe", json={"allowed": True})
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:withhold:problem:locked-by-plan"
    before = api.send("GET", "/v1/accounts/ana/preferences/vibe").json()
    assert (before["allowed"], before["source"], before["locked"]) == (False, "plan_lock", True)
    assert api.turn("ana", True).status_code == 403
    off = api.turn("ana", False)
    assert (off.status_code, off.json()["source"]) == (200, "account")


def test_an_organization_turns_the_switch_for_its_members(api: Api) -> None:
    api.organization("lab", studio="scale")
    api.account("ana", organizations=[{"id": "lab", "role": "member"}])
    call = {"product": "studio", "kind": "api_call"}
    assert api.chat("call-1", "ana", **call)["withheld"] == 1  # A9: off by default
    on = api.send("PUT", "/v1/organizations/lab/preferences/studio", json={"allowed": True})
    assert on.json()["allowed"] is True
    assert api.chat("call-2", "ana", **call)["accepted"] == 1
    assert api.build("api", "studio")["admitted"] == 1


def test_an_if_match_that_is_older_refuses_an_on(api: Api) -> None:
    api.account("ana")
    seen = api.turn("ana", False).headers["etag"]
    assert api.turn("ana", True, headers={"If-Match": seen}).status_code == 200
    api.turn("ana", False)
    stale = api.turn("ana", True, headers={"If-Match": seen})
    assert stale.status_code == 412
    assert api.send("GET", "/v1/accounts/ana/preferences/vibe").json()["allowed"] is False


def test_an_idempotency_key_counts_once_and_is_for_one_request(api: Api) -> None:
    api.account("ana")
    key = {"Idempotency-Key": "key-1"}
    first = api.turn("ana", False, headers=key)
    assert api.turn("ana", False, headers=key).json() == first.json()
    assert api.turn("ana", True, headers=key).status_code == 422


def test_a_replayed_opt_in_after_an_opt_out_is_refused(api: Api) -> None:
    api.account("ana", plans={"vibe": "free"}, opens="out")
    key = {"Idempotency-Key": "key-1"}
    assert api.turn("ana", True, headers=key).status_code == 200
    api.turn("ana", False)
    assert api.turn("ana", True, headers=key).status_code == 409
    assert api.send("GET", "/v1/accounts/ana/preferences/vibe").json()["allowed"] is False


def test_a_capture_token_from_before_an_opt_out_does_not_pass_an_opt_in(api: Api) -> None:
    api.account("ana")
    token = api.send("GET", "/v1/head").json()["token"]
    api.turn("ana", False)
    api.turn("ana", True)
    assert api.chat("ana-1", "ana", token=token)["withheld"] == 1
    assert api.chat("ana-2", "ana")["accepted"] == 1


def test_good_lines_of_a_batch_are_kept_and_bad_ones_named(api: Api) -> None:
    api.account("ana")
    lines = [
        json.dumps(chat("ok-1", "ana")),
        '{"id": "broken"',
        json.dumps(chat("who", "nobody")),
        json.dumps(chat("ok-2", "ana")),
        json.dumps(chat("ok-1", "ana")),
    ]
    answered = api.send(
        "POST",
        "/v1/interactions",
        content="\n".join(lines),
        headers={"Content-Type": "application/x-ndjson"},
    ).json()
    assert (answered["accepted"], answered["duplicate"]) == (2, 1)
    assert [rejected["line"] for rejected in answered["rejected"]] == [2, 3]


def test_many_accounts_and_many_opt_outs_name_the_lines_that_are_wrong(api: Api) -> None:
    put = api.send(
        "POST",
        "/v1/accounts",
        json=[
            {"id": "a", "plans": {"vibe": "free"}},
            {"id": "b", "plans": {"vibe": "gold"}},
            {"id": "c", "opens": "out"},
            {"id": "d", "opens": "maybe"},
        ],
    ).json()
    assert put["accepted"] == 2
    assert [rejected["line"] for rejected in put["rejected"]] == [2, 4]
    out = api.send(
        "POST",
        "/v1/preferences",
        json=[
            {"account": "a", "product": "vibe"},
            {"account": "b", "product": "vibe", "allowed": False},
            {"account": "a", "product": "studio", "allowed": True},
            {"product": "vibe"},
        ],
    ).json()
    assert out["accepted"] == 1
    assert [rejected["line"] for rejected in out["rejected"]] == [2, 3, 4]
    checked = api.send("POST", "/v1/check", json={"product": "vibe", "accounts": ["a", "b", "c"]})
    assert checked.json() == {"allowed": [False, False, False]}
    checked = api.send("POST", "/v1/check", json={"product": "studio", "accounts": ["a"]})
    assert checked.json() == {"allowed": [True]}


def test_deleted_rows_and_conversations_are_in_no_dataset(api: Api) -> None:
    api.account("ana")
    api.chat("ana-1", "ana", conversation="c")
    api.chat("ana-2", "ana", conversation="c")
    api.chat("ana-3", "ana")
    api.build()
    assert api.send("DELETE", "/v1/interactions/ana-3").json() == {"rows": 1}
    assert api.send("DELETE", "/v1/conversations/c").json() == {"rows": 2}
    assert yielded(api, "chat@1") == set()
    assert api.chat("ana-1", "ana", conversation="c")["duplicate"] == 1
    assert api.chat("ana-4", "ana", conversation="c")["withheld"] == 1


def test_versions_are_listed_and_a_dry_run_commits_nothing(api: Api) -> None:
    api.account("ana")
    api.chat("ana-1", "ana")
    counted = api.send(
        "POST", "/v1/datasets/chat/versions", json={"product": "vibe", "dry_run": True}
    ).json()
    assert (counted["dry_run"], counted["admitted"]) == (True, 1)
    assert api.send("GET", "/v1/datasets").json() == {"datasets": []}
    api.build()
    api.build()
    listed = api.send("GET", "/v1/datasets").json()["datasets"]
    assert [(d["name"], d["version"]) for d in listed] == [("chat", 1), ("chat", 2)]
    assert api.send("GET", "/v1/datasets/chat@latest").json()["version"] == 2


def test_a_move_answers_with_the_plans_that_hold_now(api: Api) -> None:
    moved = api.send("PUT", "/v1/accounts/ana", json={"plans": {"vibe": "pro"}}).json()
    assert moved["plans"]["vibe"] == "pro"
    assert moved["position"] == api.ports.ledger.head()


def test_a_scope_reaches_its_own_routes_only(api: Api) -> None:
    capture = api.token_for(Scope.CAPTURE)
    assert api.send("GET", "/v1/head", capture).status_code == 200
    assert api.send("GET", "/v1/datasets", capture).status_code == 403
    audit = api.token_for(Scope.AUDIT)
    assert api.send("GET", "/v1/datasets", audit).status_code == 200


def test_an_opt_out_does_not_wait_for_batches_that_are_being_taken_in(api: Api) -> None:
    api.account("ana")
    with (
        ThreadPoolExecutor(60) as pool,
        api.ports.intake.transaction(),  # nobody else's batch gets any further
    ):
        batches = [pool.submit(api.chat, f"ana-{n}", "ana") for n in range(50)]
        assert api.turn("ana", False).status_code == 200
        assert not any(batch.done() for batch in batches)
    # stamped before or after the opt-out, and decided after it: none is stored
    assert [batch.result()["withheld"] for batch in batches] == [1] * 50


def test_an_account_is_erased_over_http(api: Api) -> None:
    api.account("ana")
    api.chat("r1", "ana")
    erased = api.send("DELETE", "/v1/accounts/ana")
    assert erased.status_code == 200
    assert erased.json()["position"] == api.ports.ledger.head()
    assert api.send("DELETE", "/v1/accounts/ana").json()["position"] == erased.json()["position"]
    assert api.turn("ana", True).status_code == 404
    api.account("ana", opens="on")
    answered = api.send("GET", "/v1/accounts/ana/preferences/vibe").json()
    assert answered["allowed"] is False
    assert api.build()["admitted"] == 0
    assert api.send("DELETE", "/v1/accounts/nobody").status_code == 404
    only = api.token_for(Scope.CAPTURE)
    assert api.send("DELETE", "/v1/accounts/ana", token=only).status_code == 403

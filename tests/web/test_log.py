"""The log over HTTP: what anyone may read without a token, as C2SP tlog-tiles has it."""

from __future__ import annotations

import json

import pytest

from tests.web.conftest import Api
from withhold.adapters.signing import verifies
from withhold.domain.checkpoints import LogKey, Trust, opened
from withhold.domain.ledger import PUBLIC, entry_bytes, public_commitment
from withhold.domain.notes import parse_key
from withhold.domain.proofs import check_proof, parse_proof
from withhold.domain.tiles import WIDTH
from withhold.domain.tree import HASH_BYTES, TreeHead, check_consistency, leaf_hash
from withhold.errors import VerificationError
from withhold.services import log as logs


def filled(api: Api, size: int) -> None:
    first = api.ports.ledger.head()
    lines = [{"id": f"a{n}"} for n in range(first, size)]
    assert api.send("POST", "/v1/accounts", json=lines).status_code == 200
    assert api.ports.ledger.head() == size


def trust(api: Api) -> Trust:
    keys = api.client.get("/log/keys").json()
    listed = tuple(
        LogKey(parse_key(each["key"]), each["first"], each["last"])
        for each in (*keys["ed25519"], *keys["ml_dsa_44"])
    )
    return Trust(keys["origin"], listed)


def test_the_checkpoint_is_of_every_confirmed_entry_and_never_cached(api: Api) -> None:
    filled(api, 5)
    answered = api.client.get("/log/checkpoint")
    assert answered.headers["content-type"] == "text/plain; charset=utf-8"
    assert answered.headers["cache-control"] == "no-store"
    assert opened(answered.content, trust(api), verifies).checkpoint.head.size == 5


def test_the_newest_kept_checkpoint_is_served_while_it_is_the_newest_and_by_itself(
    api: Api,
) -> None:
    assert api.client.get("/log/checkpoint/witnessed").status_code == 404
    kept = api.ports.log.keep(1_790_000_000)
    assert api.client.get("/log/checkpoint").content == kept
    assert api.client.get("/log/checkpoint/kept").content == kept
    assert len(opened(kept, trust(api), verifies).signed_by) == 2
    filled(api, 4)
    assert api.client.get("/log/checkpoint").content == api.ports.log.checkpoint() != kept
    assert api.client.get("/log/checkpoint/kept").content == kept


def test_full_tiles_are_cached_for_ever_and_partial_ones_for_a_while(api: Api) -> None:
    filled(api, WIDTH + 3)
    full = api.client.get("/log/tile/0/000")
    assert len(full.content) == WIDTH * HASH_BYTES
    assert full.headers["content-type"] == "application/octet-stream"
    assert "immutable" in full.headers["cache-control"]
    partial = api.client.get("/log/tile/0/001.p/3")
    assert len(partial.content) == 3 * HASH_BYTES
    assert "immutable" not in partial.headers["cache-control"]
    assert len(api.client.get("/log/tile/1/000.p/1").content) == HASH_BYTES
    bundle = api.client.get("/log/tile/entries/001.p/3").content
    assert len(bundle) == 3 * (2 + int.from_bytes(bundle[:2], "big"))
    assert b"a1" not in bundle


@pytest.mark.parametrize(
    "path",
    ["0/001", "0/000.p/4", "0/000.p/0", "0/0", "64/000", "x/000", "entries/001", "0/../keys", ""],
)
def test_a_tile_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    filled(api, 3)
    answered = api.client.get(f"/log/tile/{path}")
    assert answered.status_code == 404
    assert answered.headers["content-type"] == "application/problem+json"


def test_replaced_keys_are_listed_with_the_sizes_they_may_sign(api: Api) -> None:
    before = api.client.get("/log/checkpoint").content
    position = logs.replace_key(api.ports)
    keys = api.client.get("/log/keys").json()
    for kind in ("ed25519", "ml_dsa_44"):
        old, new = keys[kind]
        assert (old["first"], old["last"]) == (0, position)
        assert (new["first"], new["last"]) == (position, None)
    filled(api, 4)
    opened(before, trust(api), verifies)
    opened(api.client.get("/log/checkpoint").content, trust(api), verifies)


def test_a_consistency_proof_is_given_for_any_two_sizes_and_never_changes(api: Api) -> None:
    filled(api, 9)
    for old in range(1, 10):
        for new in range(old, 10):
            answered = api.client.get(f"/log/consistency/{old}/{new}")
            assert answered.headers["cache-control"].endswith("immutable")
            found = answered.json()
            assert (found["old"], found["new"]) == (old, new)
            heads = [TreeHead(size, api.ports.log.root(size)) for size in (old, new)]
            check_consistency(*heads, tuple(bytes.fromhex(each) for each in found["hashes"]))


@pytest.mark.parametrize("sizes", ["0/3", "4/3", "3/99", "x/3", "3/-1", "03/3", "1/" + "9" * 40])
def test_a_consistency_proof_of_sizes_that_there_are_not_is_refused(api: Api, sizes: str) -> None:
    filled(api, 5)
    assert api.client.get(f"/log/consistency/{sizes}").status_code == 404


def test_whoever_trusts_the_old_key_alone_is_led_to_the_new_one(api: Api) -> None:
    old = trust(api)
    position = logs.replace_key(api.ports)
    filled(api, 5)
    with pytest.raises(VerificationError):
        opened(
            api.client.get("/log/checkpoint").content, Trust(old.origin, old.log_keys[:1]), verifies
        )
    (replaced,) = {k["last"] for k in api.client.get("/log/keys").json()["ed25519"]} - {None}
    shown = api.client.get(f"/log/keys/{replaced}").json()
    assert shown["position"] == replaced == position
    entry = entry_bytes(position, PUBLIC, public_commitment(shown["event"].encode()))
    found = check_proof(leaf_hash(entry), parse_proof(shown["proof"].encode()), old, verifies)
    assert found.checkpoint.head.size == position
    new = LogKey(parse_key(json.loads(shown["event"])["key"]), position)
    opened(api.client.get("/log/checkpoint").content, Trust(old.origin, (new,)), verifies)


@pytest.mark.parametrize("position", ["0", "-1", "1", "99", "9" * 40, "x", "2"])
def test_of_an_entry_that_replaced_no_keys_nothing_is_told(api: Api, position: str) -> None:
    filled(api, 3)
    answered = api.client.get(f"/log/keys/{position}")
    assert answered.status_code == 404
    assert answered.headers["content-type"] == "application/problem+json"

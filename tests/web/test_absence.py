"""Proofs about datasets over HTTP, and the upkeep that makes their tags."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulator import VIBE, Provider
from tests.web.conftest import Api
from withhold.adapters.signing import verifies
from withhold.domain import dataset_proofs
from withhold.domain.checkpoints import Trust
from withhold.errors import StorageError
from withhold.services import tagging
from withhold.web.auth import Scope
from withhold.web.upkeep import TAG_SECONDS, Upkeep, tag_in_child


def proof_path(account: str, version: str = "chat@1") -> str:
    return f"/v1/datasets/{version}/proofs/{account}"


def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about")


def test_what_was_built_over_http_is_tagged_and_can_be_proven(api: Api) -> None:
    for person in ("ana", "bo"):
        api.account(person)
    api.chat("a1", "ana")
    api.build()
    until(lambda: not api.ports.datasets.untagged())
    trust = Trust(api.ports.log.origin, api.ports.log.keys())
    for person, present in (("ana", True), ("bo", False)):
        answered = api.send("GET", proof_path(person), api.token_for(Scope.PREFERENCES))
        assert answered.status_code == 200, answered.text
        assert answered.headers["Cache-Control"] == "no-store"
        found = dataset_proofs.check(answered.json(), trust, verifies)
        assert (found.account, found.dataset, found.present) == (person, "chat@1", present)
        assert answered.json() == api.send("GET", proof_path(person, "chat@latest")).json()


def test_what_cannot_be_proven_has_its_status(api: Api) -> None:
    api.account("ana")
    api.chat("a1", "ana")
    api.build()
    until(lambda: not api.ports.datasets.untagged())
    for path in (proof_path("nobody"), proof_path("ana", "chat@7"), proof_path("ana", "chat")):
        assert api.send("GET", path).status_code == 404
    assert api.send("GET", proof_path("ana"), api.token_for(Scope.BUILD)).status_code == 403
    assert api.send("GET", proof_path("ana"), api.token_for(Scope.AUDIT)).status_code == 200


def test_a_version_without_tags_is_asked_for_again(tmp_path: Path) -> None:
    provider = Provider(tmp_path / "home")
    provider.sign_up("ana")
    provider.build("chat")
    tagged: list[str] = []

    def fails() -> None:
        tagged.append("tried")
        raise StorageError("the disk is full")

    upkeep = Upkeep(provider.ports, lambda _: None, fails)
    with pytest.raises(StorageError):
        upkeep.once()
    upkeep.once()
    assert tagged == ["tried"], f"not again within {TAG_SECONDS} seconds"

    another = Upkeep(
        provider.ports, lambda _: None, lambda: tagged.append("done") or _tag(provider)
    )
    for _ in range(3):
        another.once()
    assert tagged == ["tried", "done"]
    provider.close()


def _tag(provider: Provider) -> None:
    tagging.tag_all(provider.ports)


def test_tags_are_made_in_a_process_of_their_own(tmp_path: Path) -> None:
    provider = Provider(tmp_path / "home")
    provider.sign_up("ana")
    provider.chat("ana", "a1")
    provider.build("chat", VIBE)
    tag_in_child(provider.home)
    assert provider.is_in("ana", "chat@1")
    with pytest.raises(StorageError, match="withhold tag failed"):
        tag_in_child(tmp_path / "nothing")
    provider.close()

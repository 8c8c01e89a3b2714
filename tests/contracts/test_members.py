"""What every `Members` promises, held against the fake and the real index alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from tests.fakes.members import MemoryMembers
from withhold.adapters.embedded import open_embedded
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.domain.policy import Role
from withhold.ports import Members, Ports
from withhold.services import directory, erasure, policies, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest

VIBE = ProductId("vibe")


@dataclass
class World:
    """A directory with an index beside it."""

    ports: Ports
    members: Members

    def found(self, name: str) -> None:
        directory.put_organization(
            self.ports, OrganizationRequest(OrganizationId(name), "", {VIBE: PlanId("teams")})
        )

    def put(self, account: str, *organizations: str) -> None:
        roles = tuple((OrganizationId(name), Role.MEMBER) for name in organizations)
        directory.put_account(self.ports, AccountRequest(AccountId(account), roles))

    def of(self, organization: str) -> list[str]:
        with self.ports.ledger.directory() as snapshot:
            subject = snapshot.find(SubjectKind.ORGANIZATION, organization)
            assert subject is not None
            return [snapshot.subject(no).id for no in self.members.now(subject.no)]


@pytest.fixture(params=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        ledger = MemoryLedger()
        ports = ports_over(ledger)
        policies.adopt(ports, POLICY)
        yield World(ports, MemoryMembers(ledger))
        return
    with open_embedded(tmp_path) as ports:
        policies.adopt(ports, POLICY)
        yield World(ports, ports.members)


def test_members_are_those_who_are_in_it_now(world: World) -> None:
    world.found("acme")
    world.found("birch")
    world.put("ana", "acme")
    world.put("ben", "birch", "acme")
    world.put("cleo", "birch")
    assert world.of("acme") == ["ana", "ben"]
    assert world.of("birch") == ["ben", "cleo"]


def test_whoever_was_erased_is_in_nothing(world: World) -> None:
    world.found("acme")
    world.put("ana", "acme")
    world.put("ben", "acme")
    assert world.of("acme") == ["ana", "ben"]
    erasure.erase(world.ports, AccountId("ana"))
    assert world.of("acme") == ["ben"]


def test_whoever_leaves_or_comes_is_seen_at_once(world: World) -> None:
    world.found("acme")
    world.put("ana", "acme")
    assert world.of("acme") == ["ana"]
    world.put("ben", "acme")
    assert world.of("acme") == ["ana", "ben"]
    world.put("ana")
    assert world.of("acme") == ["ben"]
    world.put("ana", "acme")
    assert world.of("acme") == ["ana", "ben"]


def test_an_organization_without_members_has_none(world: World) -> None:
    world.found("acme")
    assert world.of("acme") == []


def test_turning_switches_changes_no_membership(world: World) -> None:
    world.found("acme")
    world.put("ana", "acme")
    preferences.set_preference(
        world.ports, PreferenceRequest(SubjectKind.ACCOUNT, "ana", VIBE, False)
    )
    assert world.of("acme") == ["ana"]

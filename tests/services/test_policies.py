"""Adopting a policy: one entry for any number of people, and nothing loosens an explicit out."""

from __future__ import annotations

import pytest

from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from withhold.domain.accounts import Opens
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, PlanId, Position, ProductId
from withhold.domain.preferences import Source
from withhold.domain.standing import NEVER_OUT, OUT
from withhold.errors import PolicyFileError
from withhold.ports import Ports
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
ACCOUNT = SubjectKind.ACCOUNT


@pytest.fixture
def ports() -> Ports:
    made = ports_over(MemoryLedger())
    assert policies.adopt(made, POLICY) == 1
    return made


def sign_up(ports: Ports, name: str, opens: Opens = Opens.ON) -> None:
    directory.put_account(ports, AccountRequest(AccountId(name), opens=opens))


def turned(text: str, plan: str, **values: bool) -> str:
    """Return a policy with a plan of the first product changed, under another version."""
    head, *plans = text.replace('version = "', 'version = "x', 1).split("[[products.plans]]")
    n = next(n for n, part in enumerate(plans) if f'id = "{plan}"\n' in part)
    for key, value in values.items():
        for old in ("true", "false"):
            plans[n] = plans[n].replace(f"{key} = {old}", f"{key} = {str(value).lower()}", 1)
    if "reason =" not in plans[n]:
        plans[n] = plans[n].replace("held_by =", 'reason = "Changed."\nheld_by =', 1)
    return "[[products.plans]]".join([head, *plans])


def without_studio(text: str) -> str:
    """Return a policy that no longer has the second product."""
    head, *products = text.replace('version = "', 'version = "y', 1).split("[[products]]")
    kept = [p for p in products if 'id = "studio"' not in p.split("[[", 1)[0]]
    return "[[products]]".join([head, *kept])


def seen(ports: Ports, name: str, product: ProductId = VIBE) -> preferences.PreferenceStatus:
    return preferences.status(ports, ACCOUNT, name, product)


def turn(ports: Ports, name: str, allowed: bool, product: ProductId = VIBE) -> None:
    preferences.set_preference(ports, PreferenceRequest(ACCOUNT, name, product, allowed))


def standings_of(ports: Ports, plan: str, product: ProductId = VIBE) -> tuple[int, int]:
    with ports.ledger.directory() as snapshot:
        parties = snapshot.plan(product, PlanId(plan))
    table = ports.ledger.standings()
    found = (table.standing(parties.default), table.standing(parties.lock))
    assert found == (parties.default_on_since, parties.lock_on_since)
    return found


def test_the_first_policy_is_position_one_and_says_who_is_on(ports: Ports) -> None:
    assert standings_of(ports, "free") == (NEVER_OUT, NEVER_OUT)
    assert standings_of(ports, "teams") == (OUT, OUT)
    assert standings_of(ports, "scale", STUDIO) == (OUT, NEVER_OUT)


def test_a_policy_in_force_is_not_adopted_again(ports: Ports) -> None:
    assert policies.adopt(ports, POLICY) is None
    assert ports.ledger.head() == 1


def test_a_policy_that_is_not_valid_changes_nothing(ports: Ports) -> None:
    with pytest.raises(PolicyFileError):
        policies.adopt(ports, "version = 1")
    assert ports.ledger.head() == 1


def test_a_default_turned_off_and_on_is_one_entry_each(ports: Ports) -> None:
    sign_up(ports, "ana")
    assert policies.adopt(ports, turned(POLICY, "free", default_on=False)) == 3
    assert standings_of(ports, "free") == (OUT, NEVER_OUT)
    status = seen(ports, "ana")
    assert (status.allowed, status.source, status.position) == (False, Source.PLAN_DEFAULT, 3)
    assert status.reason == "Changed."
    assert policies.adopt(ports, POLICY) == 4
    assert standings_of(ports, "free") == (4, NEVER_OUT)
    assert seen(ports, "ana").position == 4


def test_an_explicit_in_stands_in_the_place_of_a_default(ports: Ports) -> None:
    sign_up(ports, "ana")
    turn(ports, "ana", True)
    policies.adopt(ports, turned(POLICY, "free", default_on=False))
    assert seen(ports, "ana").allowed


def test_a_lock_holds_whoever_chose_and_unlocking_counts_from_then(ports: Ports) -> None:
    sign_up(ports, "ana")
    turn(ports, "ana", True)
    policies.adopt(ports, turned(POLICY, "free", locked=True, default_on=False))
    assert standings_of(ports, "free") == (OUT, OUT)
    assert seen(ports, "ana").source is Source.PLAN_LOCK
    policies.adopt(ports, POLICY)
    assert standings_of(ports, "free") == (5, 5)
    assert seen(ports, "ana").allowed


def test_no_policy_loosens_an_explicit_out(ports: Ports) -> None:
    sign_up(ports, "ana")
    turn(ports, "ana", False)
    policies.adopt(ports, turned(POLICY, "free", default_on=False))
    policies.adopt(ports, POLICY)
    assert not seen(ports, "ana").allowed


def test_a_new_product_gives_everybody_a_standing(ports: Ports) -> None:
    fresh = ports_over(MemoryLedger())
    policies.adopt(fresh, without_studio(POLICY))
    sign_up(fresh, "ana")
    sign_up(fresh, "bo", Opens.OUT)
    directory.put_organization(fresh, OrganizationRequest(OrganizationId("acme"), "Acme"))
    assert policies.adopt(fresh, POLICY) == 8, "everybody is ready before the policy is in force"
    assert fresh.ledger.head() == 8
    assert seen(fresh, "ana", STUDIO).allowed
    assert not seen(fresh, "bo", STUDIO).allowed, "an explicit out did not reach a new product"
    assert standings_of(fresh, "free", STUDIO) == (NEVER_OUT, NEVER_OUT)
    assert fresh.ledger.verify() == 8


def test_a_product_that_comes_back_is_on_only_since_its_return(ports: Ports) -> None:
    sign_up(ports, "ana")
    assert policies.adopt(ports, without_studio(POLICY)) == 3
    assert standings_of(ports, "free", STUDIO) == (OUT, OUT)
    sign_up(ports, "bo")
    assert policies.adopt(ports, POLICY) == 6, "only the account that came meanwhile has news"
    assert standings_of(ports, "free", STUDIO) == (6, 6)
    assert seen(ports, "ana", STUDIO).allowed
    assert seen(ports, "bo", STUDIO).allowed


def test_a_new_plan_of_a_product_that_comes_back_is_not_never_out(ports: Ports) -> None:
    sign_up(ports, "ana")
    policies.adopt(ports, without_studio(POLICY))
    start = POLICY.index('id = "studio"')
    again = POLICY[:start] + POLICY[start:].replace('id = "free"', 'id = "solo"', 1).replace(
        'personal_plan = "free"', 'personal_plan = "solo"', 1
    )
    position = policies.adopt(ports, again.replace('version = "', 'version = "z', 1))
    assert standings_of(ports, "solo", STUDIO) == (position, position)


def test_a_plan_that_left_the_policy_withholds_whoever_is_still_on_it(ports: Ports) -> None:
    directory.put_account(ports, AccountRequest(AccountId("ana"), plans={VIBE: PlanId("pro")}))
    parts = POLICY.replace('version = "', 'version = "w', 1).split("[[products.plans]]")
    gone = [p for p in parts if 'id = "pro"\n' not in p]
    policies.adopt(ports, "[[products.plans]]".join(gone))
    status = seen(ports, "ana")
    assert (status.allowed, status.source) == (False, Source.PLAN_LOCK)
    assert status.reason == "This plan is no longer offered."
    assert status.position == Position(3)

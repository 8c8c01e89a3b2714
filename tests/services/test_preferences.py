"""The switch: off always works, on has conditions, and saying it twice is saying it once."""

from __future__ import annotations

import pytest

from tests.fakes.faults import FailOnce
from tests.fakes.intake import Fault
from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from withhold.domain.accounts import Opens
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, PlanId, Position, ProductId
from withhold.domain.policy import Role
from withhold.domain.preferences import Source
from withhold.errors import (
    InputError,
    KeyReused,
    LedgerMoved,
    LockedByPlan,
    NotAnAdmin,
    PreconditionFailed,
    StateUnknown,
    StorageError,
    UnknownAccount,
    UnknownOrganization,
    UnknownProduct,
)
from withhold.ports import Ports
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest, PreferenceStatus

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
ACCOUNT, ORGANIZATION = SubjectKind.ACCOUNT, SubjectKind.ORGANIZATION


@pytest.fixture
def ports() -> Ports:
    made = ports_over(MemoryLedger())
    policies.adopt(made, POLICY)
    return made


def sign_up(
    ports: Ports, name: str, *organizations: tuple[str, Role], opens: Opens = Opens.ON, **plans: str
) -> None:
    named = tuple((OrganizationId(o), role) for o, role in organizations)
    wanted = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
    directory.put_account(ports, AccountRequest(AccountId(name), named, wanted, opens))


def found(ports: Ports, name: str, **plans: str) -> None:
    wanted = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
    directory.put_organization(ports, OrganizationRequest(OrganizationId(name), name, wanted))


def turn(
    ports: Ports,
    name: str,
    allowed: bool,
    *,
    kind: SubjectKind = ACCOUNT,
    product: ProductId = VIBE,
    **more: object,
) -> PreferenceStatus:
    request = PreferenceRequest(kind, name, product, allowed, **more)  # type: ignore[arg-type]
    return preferences.set_preference(ports, request)


def seen(ports: Ports, name: str, product: ProductId = VIBE) -> PreferenceStatus:
    return preferences.status(ports, ACCOUNT, name, product)


def test_an_account_is_on_by_its_plans_default(ports: Ports) -> None:
    sign_up(ports, "ana")
    status = seen(ports, "ana")
    assert (status.allowed, status.source, status.locked) == (True, Source.PLAN_DEFAULT, False)
    assert status.position == 2, "its opening decides: it is newer than the default"


def test_off_then_on_counts_from_the_opt_in(ports: Ports) -> None:
    sign_up(ports, "ana")
    off = turn(ports, "ana", False)
    assert (off.allowed, off.source, off.position) == (False, Source.ACCOUNT, 3)
    on = turn(ports, "ana", True)
    assert (on.allowed, on.source, on.position) == (True, Source.ACCOUNT, 4)
    assert seen(ports, "ana") == on
    assert ports.ledger.verify() == 4


def test_no_change_answers_the_standing_entry(ports: Ports) -> None:
    sign_up(ports, "ana")
    off = turn(ports, "ana", False)
    assert turn(ports, "ana", False) == off
    on = turn(ports, "ana", True)
    assert turn(ports, "ana", True) == on
    assert ports.ledger.head() == 4


def test_products_are_switched_apart(ports: Ports) -> None:
    sign_up(ports, "ana")
    turn(ports, "ana", False)
    assert seen(ports, "ana", STUDIO).allowed


def test_a_lock_refuses_on_and_takes_off(ports: Ports) -> None:
    sign_up(ports, "ana", vibe="teams")
    before = seen(ports, "ana")
    assert (before.allowed, before.source, before.locked) == (False, Source.PLAN_LOCK, True)
    assert before.reason
    with pytest.raises(LockedByPlan):
        turn(ports, "ana", True)
    off = turn(ports, "ana", False)
    assert (off.source, off.locked) == (Source.ACCOUNT, True)


def test_a_member_turns_its_own_off_under_an_organisations_off(ports: Ports) -> None:
    found(ports, "acme", vibe="free")
    sign_up(ports, "ana", ("acme", Role.MEMBER))
    turn(ports, "acme", False, kind=ORGANIZATION)
    assert seen(ports, "ana").source is Source.ORGANIZATION
    off = turn(ports, "ana", False, actor="ana")
    assert off.source is Source.ACCOUNT
    turn(ports, "acme", True, kind=ORGANIZATION)
    assert not seen(ports, "ana").allowed, "an organisation's on loosened a member's off"


def test_an_organisation_that_holds_the_setting_turns_on_over_the_default(ports: Ports) -> None:
    found(ports, "acme", studio="scale")
    sign_up(ports, "ana", ("acme", Role.ADMIN))
    before = seen(ports, "ana", STUDIO)
    assert (before.allowed, before.source) == (False, Source.PLAN_DEFAULT)
    on = turn(ports, "acme", True, kind=ORGANIZATION, product=STUDIO, actor="ana")
    assert (on.allowed, on.source) == (True, Source.ORGANIZATION)
    after = seen(ports, "ana", STUDIO)
    assert (after.allowed, after.source) == (True, Source.ORGANIZATION)


def test_only_an_admin_turns_the_organisations_switch(ports: Ports) -> None:
    found(ports, "acme", vibe="free")
    sign_up(ports, "ana", ("acme", Role.ADMIN))
    sign_up(ports, "bo", ("acme", Role.MEMBER))
    for actor in ("bo", "nobody"):
        with pytest.raises(NotAnAdmin):
            turn(ports, "acme", False, kind=ORGANIZATION, actor=actor)
    assert not turn(ports, "acme", False, kind=ORGANIZATION, actor="ana").allowed


def test_an_admin_turns_a_member_off_and_never_on(ports: Ports) -> None:
    found(ports, "acme", vibe="free")
    sign_up(ports, "ana", ("acme", Role.ADMIN))
    sign_up(ports, "bo", ("acme", Role.MEMBER))
    sign_up(ports, "cy")
    turn(ports, "bo", False, actor="ana")
    with pytest.raises(NotAnAdmin):
        turn(ports, "bo", True, actor="ana")
    with pytest.raises(NotAnAdmin):
        turn(ports, "bo", False, actor="cy")


def test_an_idempotency_key_counts_once(ports: Ports) -> None:
    sign_up(ports, "ana")
    first = turn(ports, "ana", False, idempotency_key="k")
    assert turn(ports, "ana", False, idempotency_key="k") == first
    assert ports.ledger.head() == 3


def test_a_replayed_opt_in_after_an_opt_out_is_refused(ports: Ports) -> None:
    sign_up(ports, "ana", opens=Opens.OUT)
    turn(ports, "ana", True, idempotency_key="k")
    turn(ports, "ana", False)
    with pytest.raises(LedgerMoved):
        turn(ports, "ana", True, idempotency_key="k")
    assert not seen(ports, "ana").allowed


def test_a_key_with_another_body_is_refused(ports: Ports) -> None:
    sign_up(ports, "ana")
    turn(ports, "ana", False, idempotency_key="k")
    for change in ({"allowed": True}, {"product": STUDIO}):
        with pytest.raises(KeyReused):
            turn(ports, "ana", **{"allowed": False, **change}, idempotency_key="k")  # type: ignore[arg-type]


def test_an_on_that_saw_an_older_entry_is_refused_and_an_off_is_not(ports: Ports) -> None:
    sign_up(ports, "ana")
    off = turn(ports, "ana", False)
    with pytest.raises(PreconditionFailed):
        turn(ports, "ana", True, if_match=Position(off.position - 1))
    on = turn(ports, "ana", True, if_match=off.position)
    assert on.allowed
    assert not turn(ports, "ana", False, if_match=Position(1)).allowed


def test_unknown_names_are_named(ports: Ports) -> None:
    sign_up(ports, "ana")
    with pytest.raises(UnknownAccount):
        turn(ports, "bo", False)
    with pytest.raises(UnknownOrganization):
        turn(ports, "ana", False, kind=ORGANIZATION)
    with pytest.raises(UnknownProduct):
        turn(ports, "ana", False, product=ProductId("mail"))
    with pytest.raises(UnknownProduct):
        preferences.check(ports, ProductId("mail"), [])


def test_many_opt_outs_are_all_or_none(ports: Ports) -> None:
    sign_up(ports, "ana")
    sign_up(ports, "bo")
    off = [PreferenceRequest(ACCOUNT, name, VIBE, False) for name in ("ana", "bo")]
    with pytest.raises(UnknownAccount):
        preferences.opt_out_many(ports, [*off, PreferenceRequest(ACCOUNT, "cy", VIBE, False)])
    assert seen(ports, "ana").allowed
    assert [s.position for s in preferences.opt_out_many(ports, off)] == [4, 5]
    with pytest.raises(InputError):
        preferences.opt_out_many(ports, [PreferenceRequest(ACCOUNT, "ana", VIBE, True)])


def test_check_answers_off_for_who_is_unknown(ports: Ports) -> None:
    sign_up(ports, "ana")
    sign_up(ports, "bo", opens=Opens.OUT)
    names = [AccountId(name) for name in ("ana", "bo", "cy")]
    assert preferences.check(ports, VIBE, names) == [True, False, False]


def test_an_off_is_written_for_the_whole_group_at_once(ports: Ports) -> None:
    for name in ("ana", "bo", "cy"):
        sign_up(ports, name)
    directory.merge(ports, [AccountId("ana"), AccountId("bo")])
    directory.merge(ports, [AccountId("bo"), AccountId("cy")])
    off = turn(ports, "bo", False)
    assert seen(ports, "bo").position == off.position
    assert (
        preferences.check(ports, VIBE, [AccountId(n) for n in ("ana", "bo", "cy")]) == [False] * 3
    )
    turn(ports, "ana", True)
    turn(ports, "bo", False)
    assert not seen(ports, "ana").allowed, "a later off was not written for all of the group"
    assert ports.ledger.verify()


@pytest.mark.parametrize(
    ("how", "error", "is_out"),
    [
        (Fault.FAIL_NOT_PERSISTED, StorageError, False),
        (Fault.FAIL_PERSISTED, StateUnknown, True),
    ],
)
def test_a_failed_save_is_never_answered_and_can_be_asked_again(
    how: Fault, error: type[Exception], is_out: bool
) -> None:
    fault = FailOnce(3, how)  # the adoption and the sign-up are the first two
    ports = ports_over(MemoryLedger(fault))
    policies.adopt(ports, POLICY)
    sign_up(ports, "ana")
    with pytest.raises(error):
        turn(ports, "ana", False, idempotency_key="k")
    assert seen(ports, "ana").allowed is not is_out
    answer = turn(ports, "ana", False, idempotency_key="k")
    assert (answer.allowed, answer.position, ports.ledger.head()) == (False, 3, 3)

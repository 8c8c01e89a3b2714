"""What holds now and why, decided by the first of: own choice, lock, organisation, default."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.fakes.ledger import POLICY
from tests.services.test_policies import without_studio
from withhold.domain import policy_file
from withhold.domain.changes import At, Change, put_in, put_out, put_unchosen
from withhold.domain.directory import (
    OPEN,
    Choice,
    Holding,
    Membership,
    PlanParties,
    PlanSpell,
    Subject,
    SubjectKind,
)
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.policy import Policy, Role
from withhold.domain.preferences import Source, effective, turned_off, turned_on
from withhold.domain.standing import NEVER_OUT, OUT, Becomes, Effect, Standing

VIBE = ProductId("vibe")
STUDIO = ProductId("studio")
AT = At(Position(50), 1)


def holding(
    choice: Choice | None = None, position: int = 10, since: Standing = NEVER_OUT
) -> Holding:
    standing = OUT if choice is Choice.OUT else since
    until = OPEN if choice is None else Position(position)
    return Holding(PartyNo(position), standing, choice, until, Position(position), 0)


def subject(
    no: int,
    kind: SubjectKind,
    own: Holding,
    plan: str | None,
    organizations: tuple[int, ...] = (),
    product: ProductId = VIBE,
) -> Subject:
    return Subject(
        SubjectNo(no),
        kind,
        f"s{no}",
        1,
        Position(10),
        {product: own},
        () if plan is None else (PlanSpell(product, PlanId(plan), OPEN),),
        tuple(Membership(SubjectNo(n), Role.MEMBER, Position(0), OPEN) for n in organizations),
    )


@dataclass
class Book:
    """A directory of a few subjects; plans are on, never out, unless said otherwise."""

    subjects: dict[int, Subject] = field(default_factory=dict)
    plans: dict[str, PlanParties] = field(default_factory=dict)
    policy: Policy = field(default_factory=lambda: policy_file.loads(POLICY))
    head: Position = field(default=Position(40))

    def put(self, *subjects: Subject) -> Book:
        self.subjects |= {s.no: s for s in subjects}
        return self

    def say(self, plan: str, *, default: Standing = NEVER_OUT, lock: Standing = NEVER_OUT) -> Book:
        parties = (PartyNo(1), default, PartyNo(2), lock)
        self.plans[plan] = PlanParties(VIBE, PlanId(plan), *parties, Position(20), 7)
        return self

    def find(self, kind: SubjectKind, external_id: str) -> Subject | None:
        found = [s for s in self.subjects.values() if (s.kind, s.id) == (kind, external_id)]
        return found[0] if found else None

    def subject(self, no: SubjectNo) -> Subject:
        return self.subjects[no]

    def plan(self, product: ProductId, plan: PlanId) -> PlanParties:
        on = (PartyNo(1), NEVER_OUT, PartyNo(2), NEVER_OUT)
        return self.plans.get(plan, PlanParties(product, plan, *on, Position(1), 7))


ACCOUNT, ORGANIZATION = SubjectKind.ACCOUNT, SubjectKind.ORGANIZATION


def test_an_own_out_is_told_first_and_the_lock_beside_it() -> None:
    ana = subject(1, ACCOUNT, holding(Choice.OUT), "free")
    now = effective(ana, VIBE, Book().say("free", default=OUT, lock=OUT))
    assert (now.is_on, now.source, now.is_locked, now.position) == (False, Source.ACCOUNT, True, 10)


def test_a_lock_is_told_before_an_organisation_and_a_default() -> None:
    acme = subject(2, ORGANIZATION, holding(Choice.OUT, 11), "teams")
    ana = subject(1, ACCOUNT, holding(Choice.IN), None, (2,))
    now = effective(ana, VIBE, Book().put(acme).say("teams", default=OUT, lock=OUT))
    assert (now.is_on, now.source, now.is_locked, now.plan) == (
        False,
        Source.PLAN_LOCK,
        True,
        "teams",
    )
    assert (now.position, now.recorded_at) == (20, 7)


def test_an_organisations_out_is_told_before_a_default() -> None:
    acme = subject(2, ORGANIZATION, holding(Choice.OUT, 11), "free")
    ana = subject(1, ACCOUNT, holding(), "pro", (2,))
    now = effective(ana, VIBE, Book().put(acme).say("pro", default=OUT))
    assert (now.is_on, now.source, now.position) == (False, Source.ORGANIZATION, 11)


def test_a_default_is_off_only_where_nobody_chose() -> None:
    book = Book().say("free", default=OUT)
    unchosen = effective(subject(1, ACCOUNT, holding(), "free"), VIBE, book)
    assert (unchosen.is_on, unchosen.source, unchosen.position) == (False, Source.PLAN_DEFAULT, 20)
    chosen = effective(subject(1, ACCOUNT, holding(Choice.IN), "free"), VIBE, book)
    assert (chosen.is_on, chosen.source, chosen.position) == (True, Source.ACCOUNT, 10)


@pytest.mark.parametrize(("own", "decides"), [(10, 20), (30, 30)])
def test_on_by_default_is_decided_by_the_newer_of_plan_and_own_entry(
    own: int, decides: int
) -> None:
    ana = subject(1, ACCOUNT, holding(None, own), "free")
    now = effective(ana, VIBE, Book().say("free"))
    assert (now.is_on, now.source, now.position) == (True, Source.PLAN_DEFAULT, decides)


def test_whoever_states_no_plan_is_on_the_personal_one() -> None:
    ana = subject(1, ACCOUNT, holding(), None)
    assert effective(ana, VIBE, Book().say("free", default=OUT)).plan == "free"


def test_an_organisation_that_holds_the_setting_speaks_for_its_members() -> None:
    book = Book().say("scale", default=OUT)
    own = holding(None, 10)
    acme = subject(2, ORGANIZATION, holding(Choice.IN, 12), "scale", product=STUDIO)
    ana = subject(1, ACCOUNT, own, None, (2,), product=STUDIO)
    now = effective(ana, STUDIO, book.put(acme))
    assert (now.is_on, now.source, now.position) == (True, Source.ORGANIZATION, 12)
    itself = effective(acme, STUDIO, book)
    assert (itself.is_on, itself.source) == (True, Source.ORGANIZATION)


@pytest.mark.parametrize("choice", [None, Choice.IN])
def test_an_organisation_has_no_say_where_each_account_holds_the_setting(
    choice: Choice | None,
) -> None:
    acme = subject(2, ORGANIZATION, holding(choice), "free")
    now = effective(acme, VIBE, Book().say("free", default=OUT))
    assert (now.is_on, now.source) == (False, Source.PLAN_DEFAULT)


def test_an_out_is_told_of_a_product_that_left_the_policy() -> None:
    book = Book(policy=policy_file.loads(without_studio(POLICY)))
    ana = subject(1, ACCOUNT, holding(Choice.OUT), None, product=STUDIO)
    now = effective(ana, STUDIO, book)
    assert (now.is_on, now.source, now.is_locked) == (False, Source.ACCOUNT, False)


def test_every_plan_that_counts_must_be_on() -> None:
    acme = subject(2, ORGANIZATION, holding(), "pro")
    ana = subject(1, ACCOUNT, holding(), "free", (2,))
    assert effective(ana, VIBE, Book().put(acme)).is_on
    assert not effective(ana, VIBE, Book().put(acme).say("pro", default=OUT)).is_on
    assert not effective(ana, VIBE, Book().put(acme).say("free", lock=OUT)).is_on


def test_off_is_out_and_ends_the_time_without_a_choice() -> None:
    ana = subject(1, ACCOUNT, holding(), "free")
    change = turned_off(ana, VIBE, AT)
    assert change is not None
    after = change.record.holdings[VIBE]
    assert (after.on_since, after.choice, after.unchosen_until) == (OUT, Choice.OUT, 50)
    assert change.effects == (Effect(after.party, Becomes.OUT),)
    assert (change.record.sequence, change.record.last) == (2, 50)
    assert turned_off(change.record, VIBE, AT) is None


def test_on_moves_the_standing_only_of_a_holder_that_was_out() -> None:
    out = turned_on(subject(1, ACCOUNT, holding(Choice.OUT), "free"), VIBE, AT)
    assert out is not None
    assert out.effects == (Effect(PartyNo(10), Becomes.ON),)
    assert out.record.holdings[VIBE].on_since == 50
    assert out.record.holdings[VIBE].unchosen_until == 10, "an earlier choice is not forgotten"
    unchosen = turned_on(subject(1, ACCOUNT, holding(), "free"), VIBE, AT)
    assert isinstance(unchosen, Change)
    assert unchosen.effects == ()
    assert unchosen.record.holdings[VIBE].on_since == NEVER_OUT
    assert turned_on(unchosen.record, VIBE, AT) is None


def test_every_change_of_a_holding_keeps_out_and_explicit_out_together() -> None:
    for before in (holding(), holding(Choice.IN), holding(Choice.OUT)):
        for after in (put_out(before, AT)[0], put_in(before, AT)[0], put_unchosen(before, AT)[0]):
            assert after.is_out is (after.choice is Choice.OUT)
            assert (after.unchosen_until == OPEN) is (after.choice is None)

"""Opening, moving, merging; and the machine that does everything in any order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from tests.services.test_policies import turned
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.domain.accounts import Opens
from withhold.domain.admission import Admitted, admit
from withhold.domain.directory import OPEN, Choice, Subject, SubjectKind
from withhold.domain.names import (
    AccountId,
    OrganizationId,
    PartyNo,
    PlanId,
    Position,
    ProductId,
)
from withhold.domain.parties import Author, parties_of
from withhold.domain.policy import Role
from withhold.domain.preferences import effective
from withhold.domain.standing import NEVER_OUT, OUT
from withhold.errors import (
    InputError,
    LockedByPlan,
    UnknownAccount,
    UnknownOrganization,
    UnknownPlan,
    UnknownProduct,
)
from withhold.ports import Ledger, Ports
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
ACCOUNT, ORGANIZATION = SubjectKind.ACCOUNT, SubjectKind.ORGANIZATION


@pytest.fixture
def ports() -> Ports:
    made = ports_over(MemoryLedger())
    policies.adopt(made, POLICY)
    return made


def account(
    ports: Ports, name: str, *organizations: str, opens: Opens = Opens.ON, **plans: str
) -> Subject:
    named = tuple((OrganizationId(o), Role.MEMBER) for o in organizations)
    wanted = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
    return directory.put_account(ports, AccountRequest(AccountId(name), named, wanted, opens))


def organization(ports: Ports, name: str, **plans: str) -> Subject:
    wanted = {ProductId(product): PlanId(plan) for product, plan in plans.items()}
    return directory.put_organization(
        ports, OrganizationRequest(OrganizationId(name), name, wanted)
    )


def turn(ports: Ports, name: str, allowed: bool, kind: SubjectKind = ACCOUNT) -> None:
    preferences.set_preference(ports, PreferenceRequest(kind, name, VIBE, allowed))


def test_a_personal_account_has_the_personal_plans_from_the_start(ports: Ports) -> None:
    ana = account(ports, "ana", vibe="pro")
    assert (ana.plan_now(VIBE), ana.plan_now(STUDIO)) == ("pro", "free")
    organization(ports, "acme", vibe="teams")
    bo = account(ports, "bo", "acme")
    assert bo.plans == ()
    assert bo.memberships[0].since == 0


@pytest.mark.parametrize(
    ("opens", "since", "choice"),
    [(Opens.ON, NEVER_OUT, None), (Opens.ON_FROM_NOW, 2, None), (Opens.OUT, OUT, Choice.OUT)],
)
def test_how_an_account_opens_is_how_it_stands(
    ports: Ports, opens: Opens, since: int, choice: Choice | None
) -> None:
    ana = account(ports, "ana", opens=opens)
    for holding in ana.holdings.values():
        assert (holding.on_since, holding.choice) == (since, choice)
        assert (holding.unchosen_until == OPEN) is (choice is None)
        assert ports.ledger.standings().standing(holding.party) == since


def test_how_it_opens_counts_only_the_first_time(ports: Ports) -> None:
    ana = account(ports, "ana", opens=Opens.OUT)
    assert account(ports, "ana", opens=Opens.ON) == ana
    assert ports.ledger.head() == 2


def test_saying_the_same_again_appends_nothing(ports: Ports) -> None:
    organization(ports, "acme", vibe="teams")
    organization(ports, "globex", vibe="free")
    account(ports, "ana", "globex", "acme", vibe="pro")
    head = ports.ledger.head()
    organization(ports, "acme", vibe="teams")
    account(ports, "ana", "acme", "globex", vibe="pro")
    account(ports, "ana", "globex", "acme")
    assert ports.ledger.head() == head


def test_a_move_between_plans_that_are_on_changes_no_standing(ports: Ports) -> None:
    account(ports, "ana")
    ana = account(ports, "ana", vibe="pro")
    assert ana.holdings[VIBE].on_since == NEVER_OUT
    assert [(s.plan, s.until) for s in ana.plans if s.product == VIBE] == [
        ("free", 3),
        ("pro", OPEN),
    ]


def test_a_move_from_off_to_on_counts_from_the_move(ports: Ports) -> None:
    account(ports, "ana", vibe="teams")
    ana = account(ports, "ana", vibe="free")
    assert ana.holdings[VIBE].on_since == 3
    assert ana.holdings[STUDIO].on_since == NEVER_OUT
    assert ports.ledger.standings().standing(ana.holdings[VIBE].party) == 3


def test_a_move_that_is_not_on_before_and_after_clears_an_explicit_in(ports: Ports) -> None:
    account(ports, "ana")
    turn(ports, "ana", True)
    moved = account(ports, "ana", vibe="teams").holdings[VIBE]
    assert (moved.choice, moved.unchosen_until, moved.on_since) == (None, OPEN, 4)


def test_an_explicit_in_survives_a_move_that_stays_on(ports: Ports) -> None:
    account(ports, "ana")
    turn(ports, "ana", True)
    assert account(ports, "ana", vibe="pro").holdings[VIBE].choice is Choice.IN


@pytest.mark.parametrize("said_in", [False, True])
def test_an_organisations_move_to_a_plan_that_is_off_counts_whatever_it_said(
    ports: Ports, said_in: bool
) -> None:
    organization(ports, "acme", vibe="pro")
    policies.adopt(ports, turned(POLICY, "free", default_on=False))
    if said_in:
        turn(ports, "acme", True, ORGANIZATION)
    acme = organization(ports, "acme", vibe="free")
    assert acme.holdings[VIBE].on_since == ports.ledger.head()
    assert acme.holdings[VIBE].choice is None


def test_a_first_plan_keeps_when_the_time_without_one_ended(ports: Ports) -> None:
    organization(ports, "acme")
    for plan in ("free", "pro", "free"):
        acme = organization(ports, "acme", vibe=plan)
    assert [(s.plan, s.until) for s in acme.plans] == [(None, 3), ("pro", 5), ("free", OPEN)]
    assert (acme.unstated_until(VIBE), acme.unstated_until(STUDIO)) == (3, OPEN)
    assert account(ports, "ana", vibe="pro").unstated_until(VIBE) == 0


def test_no_move_loosens_an_explicit_out(ports: Ports) -> None:
    organization(ports, "acme", vibe="free")
    account(ports, "ana", vibe="teams")
    turn(ports, "ana", False)
    for plans, names in (({"vibe": "free"}, ()), ({}, ("acme",)), ({"vibe": "pro"}, ())):
        moved = account(ports, "ana", *names, **plans).holdings[VIBE]
        assert (moved.on_since, moved.choice) == (OUT, Choice.OUT)


def test_coming_back_to_a_plan_keeps_one_spell_of_it(ports: Ports) -> None:
    for plan in ("free", "pro", "free", "pro", "free"):
        ana = account(ports, "ana", vibe=plan)
    assert [(s.plan, s.until) for s in ana.plans if s.product == VIBE] == [
        ("pro", 6),
        ("free", OPEN),
    ]


def test_leaving_and_joining_again_keeps_one_membership(ports: Ports) -> None:
    organization(ports, "acme", vibe="free")
    ana = account(ports, "ana", "acme")
    assert account(ports, "ana").memberships[0].until == 4
    ana = account(ports, "ana", "acme")
    assert [(m.since, m.until) for m in ana.memberships] == [(5, OPEN)]


def test_a_new_role_is_an_entry_and_no_new_membership(ports: Ports) -> None:
    organization(ports, "acme", vibe="free")
    account(ports, "ana", "acme")
    admin = AccountRequest(AccountId("ana"), ((OrganizationId("acme"), Role.ADMIN),))
    ana = directory.put_account(ports, admin)
    assert [(m.role, m.since) for m in ana.memberships] == [(Role.ADMIN, 0)]
    assert ports.ledger.head() == 4


def test_absent_organizations_keep_those_it_has(ports: Ports) -> None:
    organization(ports, "acme", vibe="free")
    account(ports, "ana", "acme")
    ana = directory.put_account(ports, AccountRequest(AccountId("ana"), None))
    assert len(ana.memberships_now()) == 1


def test_an_organisations_move_from_locked_to_open_counts_from_the_move(ports: Ports) -> None:
    organization(ports, "acme", vibe="teams")
    acme = organization(ports, "acme", vibe="free")
    assert acme.holdings[VIBE].on_since == 3


def test_what_is_unknown_is_named_and_nothing_is_kept(ports: Ports) -> None:
    with pytest.raises(UnknownOrganization):
        account(ports, "ana", "acme")
    with pytest.raises(UnknownPlan):
        account(ports, "ana", vibe="gold")
    with pytest.raises(UnknownProduct):
        organization(ports, "acme", mail="free")
    with pytest.raises(UnknownAccount):
        directory.merge(ports, [AccountId("ana"), AccountId("bo")])
    for bad in ("", "x" * 257, "a\nb"):
        with pytest.raises(InputError):
            account(ports, bad)
    organization(ports, "acme")
    with pytest.raises(InputError, match="twice"):
        account(ports, "ana", "acme", "acme")
    assert ports.ledger.head() == 2


def test_many_accounts_are_all_or_none(ports: Ports) -> None:
    good = AccountRequest(AccountId("ana"))
    bad = AccountRequest(AccountId("bo"), plans={VIBE: PlanId("gold")})
    with pytest.raises(UnknownPlan):
        directory.put_accounts(ports, [good, bad])
    assert ports.ledger.head() == 1


def test_off_wins_when_accounts_are_merged(ports: Ports) -> None:
    account(ports, "ana")
    account(ports, "bo", opens=Opens.OUT)
    directory.merge(ports, [AccountId("ana"), AccountId("bo")])
    with ports.ledger.directory() as snapshot:
        ana = snapshot.find(ACCOUNT, "ana")
        bo = snapshot.find(ACCOUNT, "bo")
    assert ana is not None
    assert bo is not None
    assert all(holding.is_out for holding in ana.holdings.values())
    assert (ana.group, bo.group) == ((bo.no,), (ana.no,))
    head = ports.ledger.head()
    directory.merge(ports, [AccountId("bo"), AccountId("ana")])
    assert ports.ledger.head() == head


NAMES = st.sampled_from(["ana", "bo", "cy"])
ORGANIZATIONS = st.sampled_from(["acme", "globex"])
PLANS = st.fixed_dictionaries(
    {},
    optional={
        "vibe": st.sampled_from(["free", "pro", "education", "teams", "enterprise"]),
        "studio": st.sampled_from(["free", "scale"]),
    },
)


class Standings(RuleBasedStateMachine):
    """Everything that changes a standing, in any order.

    Kept beside it, naively: who said out and not yet in. After every step no standing fell but from
    out to a new position, an explicit out still stands, the table caught up step by step equals the one
    rebuilt from entries, what the switch says is what a row made now would meet, and whoever was a party
    of a row at any position since its stamp is one when it arrives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ports = ports_over(self.ledger())
        self.out: set[tuple[str, str, str]] = set()
        self.before = np.zeros(0, np.uint64)
        self.head = 0
        self.policy = POLICY
        self.made: dict[tuple[Position, Author], set[PartyNo]] = {}

    def ledger(self) -> Ledger:
        return MemoryLedger()

    @initialize()
    def begin(self) -> None:
        policies.adopt(self.ports, POLICY)
        for name in ("acme", "globex"):
            organization(self.ports, name)
        for name in ("ana", "bo"):
            account(self.ports, name)
        account(self.ports, "cy", "acme")  # states no plan of its own

    @rule(name=st.text("de", min_size=1, max_size=2), opens=st.sampled_from(Opens), plans=PLANS)
    def open(self, name: str, opens: Opens, plans: dict[str, str]) -> None:
        with self.ports.ledger.directory() as snapshot:
            is_new = snapshot.find(ACCOUNT, name) is None
        account(self.ports, name, opens=opens, **plans)
        if is_new and opens is Opens.OUT:
            self.out |= {("account", name, p) for p in (VIBE, STUDIO)}

    @rule(name=NAMES, member_of=st.sets(ORGANIZATIONS), plans=PLANS)
    def move(self, name: str, member_of: set[str], plans: dict[str, str]) -> None:
        account(self.ports, name, *sorted(member_of), **plans)

    @rule(name=ORGANIZATIONS, plans=PLANS)
    def move_organization(self, name: str, plans: dict[str, str]) -> None:
        organization(self.ports, name, **plans)

    @rule(
        holder=st.one_of(
            st.tuples(st.just(ACCOUNT), NAMES), st.tuples(st.just(ORGANIZATION), ORGANIZATIONS)
        ),
        product=st.sampled_from([VIBE, STUDIO]),
        allowed=st.booleans(),
    )
    def say(self, holder: tuple[SubjectKind, str], product: ProductId, allowed: bool) -> None:
        kind, name = holder
        request = PreferenceRequest(kind, name, product, allowed)
        try:
            preferences.set_preference(self.ports, request)
        except LockedByPlan:
            assert allowed, "an off was refused"
            return
        if allowed:
            self.out.discard((kind.value, name, product))
        else:
            self.out |= {(kind.value, each, product) for each in self._group(kind, name)}

    def _group(self, kind: SubjectKind, name: str) -> set[str]:
        with self.ports.ledger.directory() as snapshot:
            subject = snapshot.find(kind, name)
            assert subject is not None
            return {name, *(snapshot.subject(no).id for no in subject.group)}

    @rule(names=st.sets(NAMES, min_size=2))
    def merge(self, names: set[str]) -> None:
        directory.merge(self.ports, [AccountId(name) for name in sorted(names)])
        everybody = set().union(*(self._group(ACCOUNT, name) for name in names))
        for kind, name, product in list(self.out):
            if kind == "account" and name in everybody:
                self.out |= {("account", each, product) for each in everybody}

    @rule(plan=st.sampled_from(["free", "pro"]), default_on=st.booleans(), locked=st.booleans())
    def adopt(self, plan: str, default_on: bool, locked: bool) -> None:
        self.policy = turned(self.policy, plan, default_on=default_on and not locked, locked=locked)
        policies.adopt(self.ports, self.policy)

    @invariant()
    def no_standing_falls_but_from_out_to_a_new_position(self) -> None:
        now = self.ports.ledger.standings()
        for party, (old, new) in enumerate(zip(self.before, now.values, strict=False)):
            is_kept = old == new
            assert is_kept or new == 0 or (old <= new and self.head < new - 1 <= now.position), (
                party
            )
        self.before, self.head = now.values, now.position

    @invariant()
    def an_explicit_out_still_stands(self) -> None:
        with self.ports.ledger.directory() as snapshot:
            for kind, name, product in self.out:
                subject = snapshot.find(SubjectKind(kind), name)
                assert subject is not None
                assert subject.holdings[ProductId(product)].choice is Choice.OUT
                assert subject.holdings[ProductId(product)].on_since == OUT

    @invariant()
    def the_table_equals_the_one_rebuilt_from_entries(self) -> None:
        now = self.ports.ledger.standings()
        again = self.ports.ledger.standings_at(Position(now.position))
        assert now.position == again.position
        np.testing.assert_array_equal(now.values, again.values)
        np.testing.assert_array_equal(now.kinds, again.kinds)
        assert self.ports.ledger.verify() == now.position

    @invariant()
    def the_switch_says_what_a_row_made_now_would_meet(self) -> None:
        table = self.ports.ledger.standings()
        with self.ports.ledger.directory() as snapshot:
            for name in ("ana", "bo", "cy"):
                subject = snapshot.find(ACCOUNT, name)
                if subject is None:
                    return
                for product in (VIBE, STUDIO):
                    author = Author(subject.no, None, product)
                    parties = parties_of([author], product, snapshot.head, snapshot)
                    verdict = admit(parties, snapshot.head, table)
                    says = effective(subject, product, snapshot)
                    assert says.is_on is isinstance(verdict, Admitted), (name, product, verdict)
                    assert says.position <= snapshot.head

    @invariant()
    def a_row_that_arrives_late_has_every_party_it_had_since_its_stamp(self) -> None:
        with self.ports.ledger.directory() as snapshot:
            for name in ("ana", "bo", "cy"):
                subject = snapshot.find(ACCOUNT, name)
                if subject is None:
                    return
                for organization in (None, *(m.organization for m in subject.memberships_now())):
                    for product in (VIBE, STUDIO):
                        author = Author(subject.no, organization, product)
                        now = set(parties_of([author], product, snapshot.head, snapshot))
                        self.made[(snapshot.head, author)] = now
            since: dict[Author, set[PartyNo]] = {}
            for (stamp, author), parties in reversed(self.made.items()):
                since[author] = since.get(author, set()) | parties
                late = set(parties_of([author], author.product, stamp, snapshot))
                assert since[author] <= late, (stamp, author, since[author] - late)


class SqliteStandings(Standings):
    """The same over the real store."""

    def ledger(self) -> Ledger:
        shared = Path("/dev/shm")
        folder = shared if shared.is_dir() else None
        self.home = Path(tempfile.mkdtemp(prefix="withhold-", dir=folder))
        self.control = Control(self.home / "control.db")
        self.keys = SubjectKeys(self.home / "keys.db")
        return SqliteLedger(self.control, self.keys)

    def teardown(self) -> None:
        self.control.close()
        self.keys.close()
        shutil.rmtree(self.home)


TestStandings = Standings.TestCase
TestStandings.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestSqliteStandings = SqliteStandings.TestCase
TestSqliteStandings.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)

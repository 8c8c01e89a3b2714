"""The directory as it follows from the entries of a ledger, and from nothing else.

An entry says where somebody belongs from then on and which standings it changes; with the rules of how a
record changes that gives every record anew. Whatever was kept beside the entries is compared with it.

Whether the standings an entry changes are those that the rules would change is not asked here: they are
committed to, and whoever appended them is bound by that. Of somebody who was erased nothing can be read, so
no record of theirs is made; where others name them they are missing.

Source: design sections 1, 2 and 6. Not here: reading entries (`adapters`), appending them (`services`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from withhold.domain.accounts import Opening, Opens, opened, placed
from withhold.domain.changes import At, next_record, put_in, put_out, put_unchosen
from withhold.domain.directory import Choice, Holding, PlanParties, Subject, SubjectKind
from withhold.domain.ledger import OPENED, EventKind
from withhold.domain.names import PartyNo, PlanId, Position, ProductId, SubjectNo
from withhold.domain.parties import PARTY_KIND, PartyKind
from withhold.domain.policy import Role
from withhold.domain.policy_adoption import readied
from withhold.domain.standing import OUT, Effect, Standing
from withhold.domain.values import Value, changed

_KINDS = {opens: subject for subject, opens in OPENED.items()}

_NONE: Mapping[str, int] = MappingProxyType({})

Party = tuple[PartyKind, ProductId, SubjectNo | None]
"""What a party is: its kind, its product, and whose it is; nobody's, of a plan."""


class Said(Value, frozen=True):
    """What an entry says of the directory.

    Attributes:
        subject: whose entry it is; None for a public one.
        id: the external id.
        opens: how an account opens.
        plans: the plans it has from then on, by product.
        organizations: the external ids of the organisations it is in from then on, with the roles.
        parties: the numbers of parties it is given, by product.
        product: whose switch is turned.
        group: the external ids of all accounts that are merged.
        policy: the text of a policy that is adopted.
        plan_parties: product, plan, default and lock of each plan that the policy changes.
    """

    kind: EventKind
    at: At
    subject: SubjectNo | None = None
    id: str = ""
    opens: str = ""
    plans: Mapping[str, str] | None = None
    organizations: Sequence[tuple[str, str]] = ()
    parties: Mapping[str, int] = _NONE
    product: str = ""
    group: Sequence[str] = ()
    policy: str = ""
    plan_parties: Sequence[tuple[str, str, int, int]] = ()


class Replay:
    """What follows from the entries that were taken.

    Attributes:
        subjects: records by number, of all that were not erased since.
        plans: the parties of every plan that any policy had.
        policies: the texts by the position of their entries.
    """

    def __init__(self) -> None:
        """Begin before the first entry."""
        self.subjects: dict[SubjectNo, Subject] = {}
        self.plans: dict[tuple[ProductId, PlanId], PlanParties] = {}
        self.policies: dict[Position, str] = {}
        self._names: dict[tuple[SubjectKind, str], SubjectNo] = {}

    def take(
        self, said: Said, effects: Sequence[Effect], standings: Mapping[int, Standing]
    ) -> None:
        """Take the next entry.

        Args:
            said: what it says.
            effects: the standings that it changes.
            standings: of every party, after it.

        Raises:
            KeyError, ValueError: it says what no entry of its kind can.
        """
        if said.kind is EventKind.POLICY_ADOPTED:
            self._adopt(said, standings)
        elif said.kind in _KINDS:
            self._open(said)
        elif said.subject is not None:
            before = self.subjects[said.subject]
            self.subjects[said.subject] = self._changed(before, said, effects)

    def forget(self, subject: SubjectNo) -> None:
        """Forget somebody who is erased."""
        self.subjects.pop(subject, None)

    def parties(self) -> dict[PartyNo, Party]:
        """Return what every party is, by its number."""
        found: dict[PartyNo, Party] = {}
        for subject in self.subjects.values():
            kind = PARTY_KIND[subject.kind]
            for product, holding in subject.holdings.items():
                found[holding.party] = (kind, product, subject.no)
        for plan in self.plans.values():
            found[plan.default] = (PartyKind.PLAN_DEFAULT, plan.product, None)
            found[plan.lock] = (PartyKind.PLAN_LOCK, plan.product, None)
        return found

    def _adopt(self, said: Said, standings: Mapping[int, Standing]) -> None:
        position, recorded_at = said.at.position, said.at.recorded_at
        self.policies[position] = said.policy
        for product, plan, default, lock in said.plan_parties:
            key = (ProductId(product), PlanId(plan))
            since = standings.get(default, OUT), standings.get(lock, OUT)
            self.plans[key] = PlanParties(
                *key, PartyNo(default), since[0], PartyNo(lock), since[1], position, recorded_at
            )

    def _open(self, said: Said) -> None:
        no, kind = said.subject, _KINDS[said.kind]
        if no is None or no in self.subjects:
            raise ValueError("a subject is opened once")
        opening = Opening(
            no,
            kind,
            said.id,
            {ProductId(p): PartyNo(party) for p, party in said.parties.items()},
            _plans(said),
            self._roles(said),
            Opens(said.opens) if said.opens else Opens.ON,
        )
        self.subjects[no] = opened(opening, said.at).record
        self._names[kind, said.id] = no

    def _changed(self, before: Subject, said: Said, effects: Sequence[Effect]) -> Subject:
        there, holdings = before, dict(before.holdings)
        becomes = {effect.party: effect for effect in effects}
        if said.kind in {EventKind.OPTED_OUT, EventKind.OPTED_IN}:
            put = put_out if said.kind is EventKind.OPTED_OUT else put_in
            product = ProductId(said.product)
            holdings[product] = put(holdings[product], said.at)[0]
        elif said.kind is EventKind.ACCOUNTS_MERGED:
            there = changed(before, group=self._group(before, said))
            holdings |= {p: put_out(h, said.at)[0] for p, h in _touched(before, becomes)}
        elif said.plans is not None:
            there = placed(before, _plans(said), self._roles(said), said.at.position)
            touched = _touched(before, becomes)
            _check_sticky(holding for _, holding in touched)
            holdings |= {p: put_unchosen(h, said.at)[0] for p, h in touched}
        else:
            holdings |= _readied(before, said, becomes)
        return next_record(there, holdings, said.at)

    def _roles(self, said: Said) -> dict[SubjectNo, Role]:
        kind = SubjectKind.ORGANIZATION
        return {self._names[kind, name]: Role(role) for name, role in said.organizations}

    def _group(self, subject: Subject, said: Said) -> tuple[SubjectNo, ...]:
        """Return the others of a group, but for those that were erased since."""
        found = {self._names.get((SubjectKind.ACCOUNT, name)) for name in said.group}
        return tuple(sorted(no for no in found if no is not None and no != subject.no))


def _plans(said: Said) -> dict[ProductId, PlanId]:
    return {ProductId(product): PlanId(plan) for product, plan in (said.plans or {}).items()}


def _touched(
    subject: Subject, effects: Mapping[PartyNo, Effect]
) -> list[tuple[ProductId, Holding]]:
    return [item for item in subject.holdings.items() if item[1].party in effects]


def _check_sticky(holdings: Iterable[Holding]) -> None:
    """Check that nothing but an explicit in ends an explicit out."""
    if any(holding.choice is Choice.OUT for holding in holdings):
        raise ValueError("an explicit out stays through everything")


def _readied(
    subject: Subject, said: Said, effects: Mapping[PartyNo, Effect]
) -> dict[ProductId, Holding]:
    """Return the holdings of somebody who is made ready for products that come."""
    parties = {ProductId(product): PartyNo(party) for product, party in said.parties.items()}
    touched = _touched(subject, effects)
    _check_sticky(holding for _, holding in touched)
    known = {product: holding.party for product, holding in touched}
    return {
        product: readied(subject.holdings.get(product), party, effects[party].becomes, said.at)
        for product, party in {**known, **parties}.items()
    }

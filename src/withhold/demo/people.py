"""The people of the demo: accounts on every plan of both products, some of whom opt out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.web import figures
from withhold.web.sign_in import Offered, OfferedGroup

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")


@dataclass(frozen=True, slots=True)
class Cohort:
    """Accounts that are alike.

    Attributes:
        name: what their ids begin with.
        organization: the organisation they are members of; the first of them is its admin.
        people: how many there are.
        out_before: numbers of those who opt out before anything is captured.
        out_after: numbers of those who opt out after everything was captured.
        turned_on: whether the organisation's admin turned training on.
    """

    name: str
    product: ProductId
    plan: PlanId
    people: int
    organization: OrganizationId | None = None
    out_before: tuple[int, ...] = ()
    out_after: tuple[int, ...] = ()
    turned_on: bool = False

    @property
    def label(self) -> str:
        """What people call the organisation."""
        return str(self.organization).replace("-", " ").title()

    def account(self, number: int) -> AccountId:
        """Return the account of a number, from 1."""
        return AccountId(f"{self.name}-{number}")

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """All of them."""
        return tuple(self.account(number) for number in range(1, self.people + 1))


def _in(name: str) -> OrganizationId:
    return OrganizationId(f"demo-{name}")


COHORTS: tuple[Cohort, ...] = (
    Cohort("vibe-free", VIBE, PlanId("free"), 6, None, out_before=(5,), out_after=(6,)),
    Cohort("vibe-pro", VIBE, PlanId("pro"), 4, None, out_before=(4,)),
    Cohort("vibe-education", VIBE, PlanId("education"), 4, None, out_after=(4,)),
    Cohort("vibe-teams", VIBE, PlanId("teams"), 4, _in("teams")),
    Cohort("vibe-enterprise", VIBE, PlanId("enterprise"), 4, _in("enterprise")),
    Cohort("studio-free", STUDIO, PlanId("free"), 3, _in("studio"), out_after=(3,)),
    Cohort("studio-scale", STUDIO, PlanId("scale"), 3, _in("scale")),
    Cohort("studio-scale-on", STUDIO, PlanId("scale"), 2, _in("scale-on"), turned_on=True),
)


def offered(home: Path) -> tuple[OfferedGroup, ...]:
    """Return the accounts that anybody may sign in as; none unless the home holds the whole demo."""
    known = figures.read(home)
    if known is None or not known.is_done:
        return ()
    return tuple(_group(cohort) for cohort in COHORTS)


def _group(cohort: Cohort) -> OfferedGroup:
    people = enumerate(cohort.accounts, 1)
    accounts = tuple(Offered(account, _role(cohort, number)) for number, account in people)
    note = cohort.label if cohort.organization is not None else ""
    if cohort.turned_on:
        note += ", turned on by its Admin"
    return OfferedGroup(cohort.product, cohort.plan, accounts, note)


def _role(cohort: Cohort, number: int) -> str:
    if cohort.organization is None:
        return ""
    return "Admin" if number == 1 else "Member"

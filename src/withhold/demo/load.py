"""Loading the demo, through the same services as everybody.

    people -> some opt out -> everything is captured -> others opt out -> datasets -> figures

Every id is made the same way each time, so a demo that was interrupted is completed by loading it again:
what is there already is a duplicate, a standing choice, or a dataset that exists.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from withhold.demo.content import Sent, everything
from withhold.demo.people import COHORTS, STUDIO, VIBE, Cohort
from withhold.domain.admission import Reason
from withhold.domain.directory import SubjectKind
from withhold.domain.interactions import IdState
from withhold.domain.names import AccountId, Position, ProductId
from withhold.domain.policy import Policy, Role
from withhold.domain.preferences import Source
from withhold.loader import load as load_dataset
from withhold.ports import Ports
from withhold.services import builds, capture, directory, lookups, preferences
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest
from withhold.web import answers, figures
from withhold.web.auth import Scope, create_token
from withhold.web.figures import Figures, PlanFigures

DATASETS: dict[ProductId, str] = {VIBE: "chat", STUDIO: "api"}
REASONS: dict[Source, Reason] = {
    Source.ACCOUNT: Reason.ACCOUNT,
    Source.ORGANIZATION: Reason.ORGANIZATION,
    Source.PLAN_LOCK: Reason.PLAN_LOCK,
    Source.PLAN_DEFAULT: Reason.PLAN_DEFAULT,
}
"""Why a row was not stored, by what decided its account's standing."""


def is_wanted(ports: Ports, home: Path) -> bool:
    """Return whether the demo belongs here: the home is new, or its loading was interrupted."""
    known = figures.read(home)
    if known is not None:
        return not known.is_done
    return ports.ledger.head() <= Position(1)  # nothing but the policy


def load(ports: Ports, home: Path, *, quiet: bool = False) -> Figures:
    """Load the demo and print what was admitted and withheld."""
    figures.write(home, Figures(is_done=False))
    _write_token(ports, home)
    _say("Loading the demo: accounts on every plan, dialogues of a real corpus.", quiet=quiet)
    _provision(ports)
    _opt_out(ports, (c.account(n) for c in COHORTS for n in c.out_before))
    sent = everything()
    for rows in sent.values():
        capture.capture(ports, rows)
    _opt_out(ports, (c.account(n) for c in COHORTS for n in c.out_after))
    for product, name in DATASETS.items():
        if ports.datasets.next_version(name) == 1:
            builds.build(ports, name, product)
    result = _count(ports, home, sent)
    figures.write(home, result)
    if not quiet:
        _print(result)
    return result


def _provision(ports: Ports) -> None:
    for cohort in COHORTS:
        plans = {cohort.product: cohort.plan}
        if cohort.organization is None:
            requests = [AccountRequest(account, None, plans) for account in cohort.accounts]
        else:
            directory.put_organization(
                ports, OrganizationRequest(cohort.organization, cohort.label, plans)
            )
            requests = [
                AccountRequest(
                    account, ((cohort.organization, Role.MEMBER if number else Role.ADMIN),)
                )
                for number, account in enumerate(cohort.accounts)
            ]
        directory.put_accounts(ports, requests)
        if cohort.turned_on:
            _turn_on(ports, cohort)


def _turn_on(ports: Ports, cohort: Cohort) -> None:
    """Let the organisation's admin turn training on."""
    preferences.set_preference(
        ports,
        PreferenceRequest(
            SubjectKind.ORGANIZATION,
            str(cohort.organization),
            cohort.product,
            True,
            surface="console",
            actor=cohort.account(1),
        ),
    )


def _opt_out(ports: Ports, accounts: Iterable[AccountId]) -> None:
    products = tuple(DATASETS)
    preferences.opt_out_many(
        ports,
        [
            PreferenceRequest(SubjectKind.ACCOUNT, account, product, False, surface="console")
            for account in accounts
            for product in products
        ],
    )


def _write_token(ports: Ports, home: Path) -> None:
    """Write a credential for trying things, readable by the owner only."""
    path = home / figures.TOKEN_FILE
    if path.exists():
        return
    token = create_token(ports, "demo", Scope)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    fresh.replace(path)


def _count(ports: Ports, home: Path, sent: Sent) -> Figures:
    """Count by plan what became of everything that was sent."""
    yielded: set[str] = set()
    for name in DATASETS.values():
        with load_dataset(f"{name}@1", home=home, columns=("id",)) as data:
            for batch in data.batches():
                yielded.update(batch.column("id").to_pylist())
    with ports.ledger.directory() as snapshot:
        policy = snapshot.policy
    plans = [_of_cohort(ports, policy, cohort, sent, yielded) for cohort in COHORTS]
    return Figures(True, [f"{name}@1" for name in DATASETS.values()], plans)


def _of_cohort(
    ports: Ports, policy: Policy, cohort: Cohort, sent: Sent, yielded: set[str]
) -> PlanFigures:
    not_stored: dict[str, int] = {}
    withheld: dict[str, int] = {}
    rows = [row for account in cohort.accounts for row in sent[account]]
    for row in (row for row in rows if row.id not in yielded):
        known = ports.intake.find(row.product, row.id)
        if known is not None and known.state is IdState.REFUSED:
            status = preferences.status(ports, SubjectKind.ACCOUNT, row.account, row.product)
            _add(not_stored, REASONS[status.source].value)
        else:
            found = answers.explained(lookups.explain(ports, row.id, row.product))
            _add(withheld, found.reason or "unknown")
    product = policy.product(cohort.product)
    plan = product.plan(cohort.plan).label + (
        ", turned on by its admin" if cohort.turned_on else ""
    )
    admitted = sum(row.id in yielded for row in rows)
    return PlanFigures(
        product.label, plan, cohort.people, len(rows), not_stored, admitted, withheld
    )


def _add(counted: dict[str, int], reason: str) -> None:
    counted[reason] = counted.get(reason, 0) + 1


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        Console(highlight=False, markup=False).print(text)


def _print(result: Figures) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("Product")
    table.add_column("Plan")
    for column in ("Sent", "Not stored", "Withheld", "Admitted"):
        table.add_column(column, justify="right")
    table.add_column("Why not")
    for plan in result.plans:
        why = {**plan.not_stored, **{f"{r} after capture": n for r, n in plan.withheld.items()}}
        counts = (plan.sent, sum(plan.not_stored.values()), sum(plan.withheld.values()))
        table.add_row(
            plan.product, plan.plan, *map(str, counts), str(plan.admitted), figures.say(why)
        )
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(f"Datasets: {', '.join(result.datasets)}")

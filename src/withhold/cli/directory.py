"""``withhold account`` and ``withhold organization``: who there is, on which plan."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from withhold.cli.output import AsJson, Home, give, opened, say
from withhold.domain.accounts import Opens
from withhold.domain.directory import Subject
from withhold.domain.names import AccountId, OrganizationId, PlanId, ProductId
from withhold.domain.policy import Role
from withhold.errors import InputError
from withhold.services import directory, erasure
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.web import answers

account = typer.Typer(help="Open, move and merge accounts.", no_args_is_help=True)
organization = typer.Typer(help="Open and move organizations.", no_args_is_help=True)

Plan = Annotated[
    list[str] | None,
    typer.Option("--plan", help="product=plan, for example vibe=free; may be repeated."),
]


@account.command("put")
def put_account(
    account_id: Annotated[str, typer.Argument(help="The account's id.")],
    plan: Plan = None,
    organization: Annotated[
        list[str] | None,
        typer.Option(help="organization=role with role admin, billing or member; may be repeated."),
    ] = None,
    opens: Annotated[
        Opens, typer.Option(help="How it opens; counts only the first time.")
    ] = Opens.ON,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open an account, or move it to other plans and organizations.

    Example: withhold account put ana --plan vibe=free
    """
    organizations = None if organization is None else tuple(map(_membership, organization))
    request = AccountRequest(AccountId(account_id), organizations, _plans(plan or ()), opens)
    with opened(home, make=True) as ports:
        _done(directory.put_account(ports, request), as_json=as_json)


def erase(
    account_id: Annotated[str, typer.Argument(help="The account's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first, at a terminal.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Erase an account for ever: out of everything, and the key that opens what it said is deleted.

    It cannot be undone. Somebody who comes under the same id later is somebody new, who starts off.

    Example: withhold erase ana
    """
    if sys.stdin.isatty() and not (yes or as_json):
        sure = typer.confirm(f"Erase {account_id!r} for ever? It cannot be undone")
        if not sure:
            say("Nothing was erased.")
            raise typer.Exit(1)
    with opened(home) as ports:
        found = erasure.erase(ports, AccountId(account_id))
    done = answers.Erased(found.position, found.is_purged)
    if as_json:
        give(done)
        return
    say(f"Erased at position {done.position:,}; every dataset is without its rows from now on.")
    if not done.purged:
        say(
            "Readers hold old pages of the database: the server, or any command, clears them later."
        )


@account.command("merge")
def merge_accounts(
    accounts: Annotated[list[str], typer.Argument(help="Two or more accounts of one person.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make accounts one group: an off of one is an off of all, now and later; an on counts for one.

    Example: withhold account merge ana ana-work
    """
    with opened(home) as ports:
        directory.merge(ports, [AccountId(each) for each in accounts])
        position = ports.ledger.head()
    if as_json:
        give({"merged": accounts, "position": position})
    else:
        say(f"One group now: {', '.join(accounts)}")


@organization.command("put")
def put_organization(
    organization_id: Annotated[str, typer.Argument(help="The organization's id.")],
    name: Annotated[
        str, typer.Option(help="The name people see; counts only the first time.")
    ] = "",
    plan: Plan = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Open an organization, or change its plans.

    Example: withhold organization put acme --name Acme --plan vibe=teams --plan studio=free
    """
    request = OrganizationRequest(OrganizationId(organization_id), name, _plans(plan or ()))
    with opened(home, make=True) as ports:
        _done(directory.put_organization(ports, request), as_json=as_json)


def _done(subject: Subject, *, as_json: bool) -> None:
    put = answers.put(subject)
    if as_json:
        give(put)
        return
    plans = ", ".join(f"{product} {plan}" for product, plan in put.plans.items())
    say(f"{put.id}: {plans or 'no plan of its own'} (position {put.position:,})")


def _plans(pairs: Sequence[str]) -> dict[ProductId, PlanId]:
    plans: dict[ProductId, PlanId] = {}
    for product, plan in map(_pair, pairs):
        if product in plans:
            raise InputError(f"product {product[:40]!r} is given two plans; name one")
        plans[ProductId(product)] = PlanId(plan)
    return plans


def _membership(text: str) -> tuple[OrganizationId, Role]:
    organization_id, role = _pair(text)
    try:
        return OrganizationId(organization_id), Role(role)
    except ValueError:
        roles = ", ".join(role.value for role in Role)
        raise InputError(f"role {role[:32]!r}: expected one of {roles}") from None


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name or not value:
        raise InputError(f"{text[:80]!r}: expected name=value, for example vibe=free")
    return name, value

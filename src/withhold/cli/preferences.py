"""``withhold opt-out``, ``opt-in``, ``status``: the switch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from withhold.cli.output import AsJson, Home, Product, give, opened, say
from withhold.domain.directory import SubjectKind
from withhold.domain.ledger import EventKind
from withhold.domain.names import Position, ProductId
from withhold.errors import WithholdError
from withhold.ports import Ports
from withhold.services import preferences, withdrawals
from withhold.services.events import readable
from withhold.services.preferences import PreferenceRequest, PreferenceStatus
from withhold.web import answers

Holder = Annotated[str, typer.Argument(help="The id of an account, or of an organization.")]
OfOrganization = Annotated[
    bool, typer.Option("--organization", help="The id is that of an organization.")
]

_SURFACE = "cli"
_DECIDES = {
    "account": "the account's own choice",
    "organization": "the organization's choice",
    "plan_lock": "the plan's lock: nobody can turn it on",
    "plan_default": "the plan's default",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("opt-out")(opt_out)
    app.command("opt-in")(opt_in)
    app.command("status")(status)


def opt_out(
    holder: Holder,
    product: Product = None,
    organization: OfOrganization = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Turn training off. Confirmed once it is on disk. Without --product: for every product.

    Example: withhold opt-out ana --product vibe
    """
    with opened(home) as ports:
        products = _products(ports) if product is None else [ProductId(product)]
        asked = [_request(_kind(organization), holder, each, allowed=False) for each in products]
        found = dict(zip(products, preferences.opt_out_many(ports, asked), strict=True))
        _print(ports, holder, product, found, as_json=as_json)
        _apply(ports)


def opt_in(
    holder: Holder,
    product: Annotated[str, typer.Option("--product", help="A product of the policy.")],
    organization: OfOrganization = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Turn training on, for what is made from now on. A plan's lock refuses it.

    Example: withhold opt-in ana --product vibe
    """
    with opened(home) as ports:
        request = _request(_kind(organization), holder, ProductId(product), allowed=True)
        said = preferences.set_preference(ports, request)
        _show(ports, _kind(organization), holder, product, as_json=as_json)
        if not said.allowed and not as_json:
            say(
                f"What was said now is recorded at position {said.position:,}, and counts as soon as "
                "that lets it."
            )


def status(
    holder: Holder,
    product: Product = None,
    organization: OfOrganization = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say what the switch says now, and which entry decides it. Without --product: all products.

    Example: withhold status ana
    """
    with opened(home) as ports:
        _show(ports, _kind(organization), holder, product, as_json=as_json)


def _request(
    kind: SubjectKind, holder: str, product: ProductId, *, allowed: bool
) -> PreferenceRequest:
    return PreferenceRequest(kind, holder, product, allowed, surface=_SURFACE)


def _apply(ports: Ports) -> None:
    """Let the datasets follow at once. Whoever reads or builds does it first, so it may fail here."""
    try:
        withdrawals.apply(ports)
    except WithholdError as error:
        sys.stderr.write(
            "withhold: it is confirmed; the vectors of the datasets will follow with the next read or "
            f"build ({error.diagnostics()})\n"
        )


def _show(
    ports: Ports, kind: SubjectKind, holder: str, product: str | None, *, as_json: bool
) -> None:
    products = _products(ports) if product is None else [ProductId(product)]
    found = {each: preferences.status(ports, kind, holder, each) for each in products}
    _print(ports, holder, product, found, as_json=as_json)


def _print(
    ports: Ports,
    holder: str,
    product: str | None,
    found: Mapping[ProductId, PreferenceStatus],
    *,
    as_json: bool,
) -> None:
    """Print what holds for each product; of one that was named, that alone."""
    said = {each: answers.preference(status) for each, status in found.items()}
    if as_json:
        give(said if product is None else said[ProductId(product)])
        return
    for each, preference in said.items():
        say(_line(holder, each, preference, _decides(ports, preference)))


def _decides(ports: Ports, preference: answers.Preference) -> str:
    """Return what decides in words; an account that was opened off chose nothing itself."""
    if preference.source == "account" and not preference.allowed:
        record = readable(ports, Position(preference.position))
        if record is not None and record.kind is EventKind.ACCOUNT_OPENED:
            return "as the account was opened"
    return _DECIDES[preference.source]


def _line(holder: str, product: ProductId, preference: answers.Preference, decides: str) -> str:
    state = "on" if preference.allowed else "off"
    return (
        f"{holder}, {product}: {state}, {decides}. "
        f"Confirmed {preference.confirmed_at} at position {preference.position:,}."
    )


def _products(ports: Ports) -> list[ProductId]:
    with ports.ledger.directory() as directory:
        return [product.id for product in directory.policy.products]


def _kind(organization: bool) -> SubjectKind:
    return SubjectKind.ORGANIZATION if organization else SubjectKind.ACCOUNT

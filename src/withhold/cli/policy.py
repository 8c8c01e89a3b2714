"""``withhold policy``: the policy in force, a file checked, a file adopted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from withhold.adapters.embedded import exists
from withhold.app import shipped_policy
from withhold.cli.output import AsJson, Home, give, home_of, opened, say
from withhold.cli.output import table as draw
from withhold.domain import policy_file
from withhold.domain.policy import Policy
from withhold.errors import InputError, PolicyFileError
from withhold.services import policies
from withhold.services.signals import NAMES

app = typer.Typer(help="The policy: plans, defaults, locks, labels.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="A policy file (docs/policy.md).")]


@app.command()
def show(home: Home = None, as_json: AsJson = False) -> None:
    """Show the policy in force; before there is any data, the one that is shipped.

    Example: withhold policy show
    """
    if exists(home_of(home)):
        with opened(home) as ports, ports.ledger.directory() as directory:
            policy = directory.policy
    else:
        policy = policy_file.loads(shipped_policy())
    _shown(policy, as_json=as_json)


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Check a policy file without adopting it; a refusal names line and reason.

    Example: withhold policy check policy.toml
    """
    policy = policy_file.loads(_text(file))
    if as_json:
        give({"valid": True, "version": policy.version, "digest": policy.digest})
    else:
        say(f"{file.name}: valid, version {policy.version}")


@app.command()
def adopt(file: File, home: Home = None, as_json: AsJson = False) -> None:
    """Adopt a policy file: one entry of the ledger, in force from its position on.

    Example: withhold policy adopt policy.toml
    """
    text = _text(file)
    with opened(home, make=True) as ports:
        position = policies.adopt(ports, text)
    if as_json:
        give({"adopted": position is not None, "position": position})
    elif position is None:
        say("This policy is in force already.")
    else:
        say(f"In force from position {position:,} on.")


def _shown(policy: Policy, *, as_json: bool) -> None:
    if as_json:
        give(msgspec.to_builtins(policy))
        return
    say(f"Policy {policy.version}, notice {policy.notice}")
    say(f"SHA-256 {policy.digest}")
    for product in policy.products:
        rows = (
            (
                plan.label,
                plan.id,
                "on" if plan.default_on else "off",
                "locked" if plan.locked else "",
                plan.held_by.value,
            )
            for plan in product.plans
        )
        say("")
        draw(("Plan", "Id", "Default", "Lock", "Held by"), rows, f"{product.label} ({product.id})")
        for surface in product.surfaces:
            say(f"  {surface.id}: {' > '.join(surface.path)} > {surface.label}")
        if product.honours:
            say(f"  honours {' and '.join(NAMES[signal] for signal in product.honours)}")


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{file.name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PolicyFileError(f"not UTF-8 at byte {error.start}") from None

"""``withhold token``: bearer tokens for the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from withhold.cli.output import AsJson, Home, give, opened, say
from withhold.web.auth import create_token, parse_scopes

app = typer.Typer(help="Bearer tokens for the HTTP API.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Bearer tokens for the HTTP API."""


@app.command()
def create(
    scope: Annotated[
        list[str],
        typer.Option(
            help="directory, capture, preferences, build, audit; several with commas, or said again."
        ),
    ],
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a bearer token. It is shown once; only its hash is kept.

    Example: withhold token create --scope capture,preferences
    """
    scopes = parse_scopes(",".join(scope))
    with opened(home, make=True) as ports:
        made = create_token(ports, name, scopes)
    if as_json:
        give({"token": made, "scopes": sorted(scopes)})
    else:
        say(made)

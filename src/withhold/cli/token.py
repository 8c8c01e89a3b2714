"""``withhold token``: bearer tokens for the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from withhold.cli.output import AsJson, Home, give, opened, say, table
from withhold.web.auth import create_token, parse_scopes, revoke_token, tokens

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


@app.command("list")
def list_tokens(home: Home = None, as_json: AsJson = False) -> None:
    """List the tokens there are: what they are for and what they reach, never the tokens themselves.

    Example: withhold token list
    """
    with opened(home) as ports:
        found = tokens(ports)
    if as_json:
        each = [{"id": i, "name": kept.name, "scopes": sorted(kept.scopes)} for i, kept in found]
        give({"tokens": each})
        return
    if not found:
        say("There are no tokens; `withhold token create` makes one.")
        return
    table(("Id", "Name", "Scopes"), ((i, k.name, ", ".join(sorted(k.scopes))) for i, k in found))


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="Its id, as `withhold token list` has it.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a token reach nothing any more, at once and for ever.

    Example: withhold token revoke 3f2a9c0d1e4b5a67
    """
    with opened(home) as ports:
        revoked = revoke_token(ports, token_id)
    if as_json:
        give({"revoked": token_id})
    else:
        say(f"Revoked {token_id}{f', {revoked.name}' if revoked.name else ''}.")

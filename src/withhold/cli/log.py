"""``withhold log``: the ledger's tree, as anyone may see it: its head, its keys, that it only grows."""

from __future__ import annotations

from typing import Annotated

import typer

from withhold.cli.output import AsJson, Home, give, opened, say
from withhold.domain.notes import encoded
from withhold.ports import Ports
from withhold.services import log as logs
from withhold.services import witnessing
from withhold.web.api.log import Key, keys_of, replacement_of

app = typer.Typer(help="The log that anyone can check.", no_args_is_help=True)


@app.command()
def show(home: Home = None, as_json: AsJson = False) -> None:
    """Show the log's name, its head, and what is kept of it.

    Example: withhold log show
    """
    with opened(home) as ports:
        found, witnesses = _shown(ports), witnessing.lag(ports)
        reason = ports.watch.gate.reason
    if as_json:
        give({**found, "witnesses": witnesses, "read_only": reason or None})
        return
    say(f"{found['origin']}: {found['size']:,} entries")
    say(f"  root       {found['root']}")
    say(f"  kept       {_size(found['kept'])}")
    say(f"  witnessed  {_size(found['witnessed'])}")
    for name, behind in witnesses.items():
        say(f"  {name}: {behind:,} entries behind")


def _size(size: object) -> str:
    return "nothing yet" if size is None else f"{size:,} entries"


def _shown(ports: Ports) -> dict[str, object]:
    checkpoint = logs.said(ports.log.checkpoint())
    kept, witnessed = ports.log.kept(), ports.log.kept(cosigned=True)
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.head.size,
        "root": encoded(checkpoint.head.root),
        "kept": None if kept is None else logs.said(kept).head.size,
        "witnessed": None if witnessed is None else logs.said(witnessed).head.size,
    }


@app.command()
def checkpoint(home: Home = None, as_json: AsJson = False) -> None:
    """Print the newest checkpoint, signed, as /log/checkpoint serves it.

    Example: withhold log checkpoint > checkpoint
    """
    with opened(home) as ports:
        note = logs.newest(ports.log)
    head = logs.said(note).head
    if as_json:
        give({"size": head.size, "root": encoded(head.root), "checkpoint": note.decode()})
    else:
        typer.echo(note.decode(), nl=False)


@app.command()
def keys(
    at: Annotated[
        int | None,
        typer.Option(
            "--at",
            help="The position of an entry that replaced the keys: print the JSON document by"
            " which whoever trusts the keys before it learns those after it.",
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the log's verifier keys and the sizes they may sign; hand them to whoever checks.

    Example: withhold log keys
    """
    with opened(home) as ports:
        if at is not None:
            give(replacement_of(ports, at))
            return
        found = keys_of(ports.log)
    if as_json:
        give(found)
        return
    for each in found.ed25519:
        say(f"{each.key}  {_sizes(each)}")
    for each in found.ml_dsa_44:
        say(f"{each.key}  {_sizes(each)}")


def _sizes(key: Key) -> str:
    return f"from {key.first:,} on" if key.last is None else f"from {key.first:,} to {key.last:,}"


@app.command()
def consistency(
    old: Annotated[int, typer.Argument(help="A size that the log had.")],
    new: Annotated[int, typer.Argument(help="A size that is not smaller.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the proof that the log of one size begins with that of another: hashes, one a line.

    Example: withhold log consistency 3 17
    """
    with opened(home) as ports:
        proof = [encoded(each) for each in ports.log.consistency(old, new)]
    if as_json:
        give({"old": old, "new": new, "proof": proof})
    else:
        for line in proof:
            say(line)


@app.command("replace-key")
def replace_key(home: Home = None, as_json: AsJson = False) -> None:
    """Let new keys sign the log from now on; everything that was signed stays valid.

    Example: withhold log replace-key
    """
    with opened(home) as ports:
        position = logs.replace_key(ports)
        found = keys_of(ports.log)
    new = (found.ed25519[-1].key, found.ml_dsa_44[-1].key)
    if as_json:
        give({"position": position, "ed25519": new[0], "ml_dsa_44": new[1]})
        return
    say(f"New keys sign from position {position:,} on:")
    for key in new:
        say(f"  {key}")

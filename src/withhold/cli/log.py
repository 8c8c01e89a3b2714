"""``withhold log``: the ledger's tree, as anyone may see it: its head, its keys, that it only grows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from withhold.adapters.witness.file import FileWitness
from withhold.cli.following import followed
from withhold.cli.output import AsJson, Home, give, opened, say
from withhold.domain.notes import encoded
from withhold.errors import InputError, WithholdError
from withhold.ports import Ports, Witness
from withhold.services import log as logs
from withhold.services import witnessing
from withhold.web.api.log import Consistency, Key, keys_of, replacement_of

app = typer.Typer(help="The log that anyone can check.", no_args_is_help=True)


@app.command()
def show(home: Home = None, as_json: AsJson = False) -> None:
    """Show the log's name, its head, and what is kept of it.

    Example: withhold log show
    """
    with opened(home) as ports:
        found, witnesses = _shown(ports), _witnesses(ports)
        reason = ports.watch.gate.reason
    if as_json:
        behind = {each.name: each.behind for each in witnesses}
        faults = {each.name: each.fault for each in witnesses if each.fault}
        give({**found, "witnesses": behind, "faults": faults, "read_only": reason or None})
        return
    say(f"{found['origin']}: {found['size']:,} entries")
    say(f"  root       {found['root']}")
    say(f"  kept       {_size(found['kept'])}")
    are_files = bool(witnesses) and all(each.is_file for each in witnesses)
    why = "; a file cannot cosign, a witness at https://ADDRESS#KEY can" if are_files else ""
    say(f"  witnessed  {_size(found['witnessed'])}{'' if found['witnessed'] else why}")
    for each in witnesses:
        say(f"  {each.name}: {each.fault or f'{each.behind:,} entries behind'}")


class _Witness(NamedTuple):
    """A witness: how many entries it is behind (below 0 when it is ahead), and what is wrong."""

    name: str
    behind: int
    fault: str
    is_file: bool


def _witnesses(ports: Ports) -> list[_Witness]:
    head, noted = ports.ledger.head(), witnessing.noted(ports)
    return [_standing(ports, each, noted[each.name], head) for each in ports.watch.witnesses]


def _standing(ports: Ports, witness: Witness, had: int, head: int) -> _Witness:
    """Return how a witness stands; a file is looked at, another is known by what was noted of it."""
    size, fault, is_file = had, "", isinstance(witness, FileWitness)
    if isinstance(witness, FileWitness):
        try:
            size = witness.seen(ports.log.origin)
        except WithholdError as error:
            fault = error.diagnostics().removeprefix(f"{witness.name}: ")
    if size > head:
        fault = (
            f"{size - head:,} entries ahead: it has seen {size:,}, and this log has {head:,}; "
            "restore a newer backup"
        )
    elif size < had:
        gone = "what it kept is gone" if not size else "some of what it kept is gone"
        fault = (
            f"{gone}: it had seen {had:,} entries and knows of {size:,} now; put back what it kept, or "
            "name another witness"
        )
    return _Witness(witness.name, head - size, fault, is_file)


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

    With --json it is the document that /log/consistency/OLD/NEW gives. `withhold log follow` checks both.

    Example: withhold log consistency 3 17 > proof
    """
    if not 0 < old <= new:
        raise InputError(
            f"consistency: expected two sizes, the smaller one first and at least 1, got {old} and {new}"
        )
    with opened(home) as ports:
        proof = ports.log.consistency(old, new)
    if as_json:
        give(Consistency(old, new, [each.hex() for each in proof]))
    else:
        for each in proof:
            say(encoded(each))


@app.command()
def follow(
    old: Annotated[Path, typer.Argument(help="The checkpoint that was kept.")],
    new: Annotated[Path, typer.Argument(help="A newer checkpoint of the same log.")],
    proof: Annotated[
        Path, typer.Argument(help="What `withhold log consistency` or /log/consistency gave.")
    ],
    key: Annotated[
        list[str],
        typer.Option("--key", help="The log's public key, or a file of them; may be given again."),
    ],
    as_json: AsJson = False,
) -> None:
    """Check that a log only grew: both checkpoints are signed, and the newer one begins with the older.

    It needs no installation: two checkpoints, the proof between them, and the log's public key.

    Example: withhold log follow checkpoint.old checkpoint.new proof --key log.keys
    """
    followed(old, new, proof, key).tell(as_json=as_json)


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

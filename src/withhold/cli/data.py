"""``withhold import``, ``build``, ``datasets``, ``show``, ``export``, ``delete``: the data's way."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from withhold.adapters.exports import export_to
from withhold.adapters.imports.checkpoints import FileCheckpoints
from withhold.adapters.imports.files import open_source
from withhold.cli.lineage import OpenLineage, told
from withhold.cli.output import (
    RIGHT,
    AsJson,
    Home,
    Product,
    give,
    home_of,
    opened,
    product_of,
    progress_bar,
    say,
    warn,
)
from withhold.cli.output import table as draw
from withhold.domain.datasets import Dataset, parse_ref
from withhold.domain.exports import Terms
from withhold.domain.names import ProductId
from withhold.errors import InputError, WithholdError
from withhold.formats import openlineage
from withhold.formats.licenses import license_named
from withhold.formats.mapping import parse_mapping
from withhold.formats.quantity import quantity
from withhold.ports import Ports
from withhold.services import builds, deletion, exports, imports, lookups, reading, sealing, tagging
from withhold.web import answers

delete = typer.Typer(help="Delete an interaction or a conversation.", no_args_is_help=True)

CHECKPOINTS = "imports"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(import_file)
    app.command()(build)
    app.command()(datasets)
    app.command()(show)
    app.command()(export)


def import_file(
    file: Annotated[Path, typer.Argument(help="JSON lines or Parquet.")],
    columns: Annotated[
        str, typer.Option("--map", help="field=column pairs with commas, for other people's rows.")
    ] = "",
    constants: Annotated[
        str, typer.Option("--set", help="field=value pairs with commas, the same in every row.")
    ] = "",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Import history: rows without a capture token count only while no party has ever been out.

    Goes on where it was interrupted; rows met twice are duplicates.
    Without --map and --set the lines are those of POST /v1/interactions.

    Example: withhold import rows.jsonl
    Example: withhold import chats.parquet --map account=user_id --set product=vibe
    """
    mapping = parse_mapping(columns, constants) if columns or constants else None
    source = open_source(file, mapping)
    checkpoints = FileCheckpoints(home_of(home) / CHECKPOINTS)
    with opened(home, make=True) as ports:
        with progress_bar(f"Importing {file.name}", quiet=as_json) as advance:
            answer = imports.import_rows(ports, source, checkpoints, advance)
        sealing.seal(ports)
    if as_json:
        give(answer)
        return
    if answer.resumed_at > 1:
        say(f"Went on at line {answer.resumed_at:,}, where it was interrupted.")
    say(
        f"{answer.accepted:,} accepted, {answer.withheld:,} withheld, "
        f"{answer.duplicate:,} already known, {answer.rejected:,} rejected"
    )
    _say_rejected(answer)
    if answer.rejected and not answer.accepted + answer.withheld + answer.duplicate:
        raise InputError(
            "import: every line was rejected; see the reasons above, or map with --map"
        )


def _say_rejected(answer: imports.ImportAnswer) -> None:
    """Say what was wrong, each reason once, with the first line of it."""
    by_reason: dict[str, list[int]] = {}
    for line in answer.examples:
        by_reason.setdefault(line.reason, []).append(line.line)
    for reason, lines in by_reason.items():
        more = f" (and {quantity(len(lines) - 1, 'more line')})" if len(lines) > 1 else ""
        say(f"  line {lines[0]:,}{more}: {reason}")
    rest = answer.rejected - len(answer.examples)
    if rest:
        say(f"  and {quantity(rest, 'more line')} that were rejected")


def build(
    name: Annotated[str, typer.Argument(help="The dataset's name; the next version is made.")],
    product: Annotated[str, typer.Option("--product", help="A product of the policy.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    events: OpenLineage = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build the next version of a dataset: everything captured, minus what is withheld.

    Example: withhold build chat --product vibe
    """
    if dry_run and events is not None:
        raise InputError("--openlineage tells of versions; leave it out where --dry-run makes none")
    run = partial(openlineage.build_run, name, ProductId(product))
    with opened(home) as ports, told(events, ports.clock, run) as tell:
        made = builds.build(ports, name, ProductId(product), dry_run=dry_run)
        if isinstance(made, Dataset):
            tell(openlineage.built(made))
            _tag(ports, made)
    if as_json:
        give(answers.built(made) if isinstance(made, Dataset) else answers.counted(made))
        return
    if isinstance(made, Dataset):
        first, admitted, withheld = (
            f"{made.ref} committed",
            made.manifest.admitted,
            made.manifest.withheld,
        )
    else:
        first, admitted, withheld = "Nothing committed", made.admitted, made.withheld
    say(f"{first} at position {made.position:,}: {quantity(admitted, 'row')} admitted")
    for reason, rows in answers.by_reason(withheld).items():
        say(f"  {rows:,} withheld: {reason.replace('_', ' ')}")


def _tag(ports: Ports, made: Dataset) -> None:
    """Tag what was built. It is committed whatever becomes of its tags, which can be made later."""
    try:
        tagging.tag(ports, made)
    except WithholdError as error:
        warn(f"{made.ref} is committed, its tags were not made: {error.diagnostics()}")


def datasets(home: Home = None, as_json: AsJson = False) -> None:
    """List all dataset versions as they were committed.

    Example: withhold datasets
    """
    with opened(home) as ports:
        found = [answers.built(dataset) for dataset in ports.datasets.all()]
    if as_json:
        give({"datasets": found})
        return
    columns = ("Version", "Product", RIGHT + "Position", RIGHT + "Admitted", RIGHT + "Withheld")
    rows = (
        (f"{d.name}@{d.version}", d.product, d.position, d.admitted, sum(d.withheld.values()))
        for d in found
    )
    draw(columns, rows)


def show(
    dataset: Annotated[
        str, typer.Argument(help="name@version, for example chat@1 or chat@latest.")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show a version as it was committed, and what it yields now.

    Example: withhold show chat@latest
    """
    with opened(home) as ports:
        view = answers.version(lookups.show(ports, parse_ref(dataset)))
    if as_json:
        give(view)
        return
    say(f"{view.name}@{view.version}: {view.product}, committed at position {view.position:,}")
    then, now = quantity(view.admitted, "row"), view.now
    say(f"  then {then}, now {now.admitted:,} (position {now.position:,})")
    for reason, rows in view.now.withheld.items():
        say(f"  {rows:,} withheld: {reason.replace('_', ' ')}")


def export(
    dataset: Annotated[str, typer.Argument(help="name@version, for example chat@1.")],
    folder: Annotated[Path, typer.Argument(help="A folder that is absent or empty.")],
    *,
    form: Annotated[str, typer.Option("--format", help="parquet or jsonl.")] = "parquet",
    license_name: Annotated[
        str | None,
        typer.Option("--license", help="An SPDX identifier or an address, for the card."),
    ] = None,
    creator: Annotated[
        str | None, typer.Option("--creator", help="Who made the dataset, for its description.")
    ] = None,
    events: OpenLineage = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write what a version yields now as shards; later opt-outs do not reach these copies.

    Beside them: manifest.json, croissant.json (Croissant 1.1) and README.md (a Hugging Face dataset card).

    Example: withhold export chat@1 ./chat-1 --format jsonl --license CC-BY-4.0
    """
    license_id = None if license_name is None else license_named(license_name)
    reference, terms = parse_ref(dataset), Terms(license_id, creator)
    writer = export_to(folder, form)
    with opened(home) as ports:
        ports.watch.gate.check()
        reference = reading.dataset(ports, reference).ref
        run = partial(openlineage.export_run, reference)
        with (
            told(events, ports.clock, run) as tell,
            progress_bar(f"Exporting {dataset}", quiet=as_json) as advance,
        ):
            done = exports.export(
                ports,
                reference,
                writer,
                terms=terms,
                progress=lambda now: advance(now.shards_done, now.shards),
            )
            tell(openlineage.exported(done, str(folder.absolute())))
    if as_json:
        give(
            {
                "dataset": str(done.dataset),
                "position": done.position,
                "rows": done.rows,
                "withheld": answers.by_reason(done.withheld),
                "shards": done.shards,
            }
        )
        return
    rows, shards = quantity(done.rows, "row"), quantity(len(done.shards), "shard")
    say(f"{rows} in {shards}, as of position {done.position:,}")


@delete.command("interaction")
def delete_interaction(
    row: Annotated[str, typer.Argument(help="The interaction's id.")],
    product: Product = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete an interaction: no dataset yields it, and it is never taken in again.

    Example: withhold delete interaction chat-17
    """
    _deleted(deletion.delete_interaction, row, product, home, as_json=as_json)


@delete.command("conversation")
def delete_conversation(
    name: Annotated[str, typer.Argument(help="The conversation's name.")],
    product: Product = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete a conversation: its rows, and every row of it that is still to come.

    Example: withhold delete conversation c-4 --product vibe
    """
    _deleted(deletion.delete_conversation, name, product, home, as_json=as_json)


def _deleted(
    do: Callable[..., int], name: str, product: str | None, home: Path | None, *, as_json: bool
) -> None:
    with opened(home) as ports:
        rows = do(ports, name, product_of(product))
    if as_json:
        give(answers.Deleted(rows))
    else:
        say(f"Deleted; {rows:,} stored rows are in no dataset any more.")

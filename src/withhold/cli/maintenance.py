"""``withhold bench``: the benchmarks of the source tree."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from withhold.cli.output import AsJson, give
from withhold.errors import InputError

FOLDER = Path(__file__).parents[3] / "bench"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bench)


def bench(
    name: Annotated[
        str | None, typer.Argument(help="One benchmark, for example build; all without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the benchmarks, each beside what it is compared with. Needs the source tree.

    They work in temporary folders; no installation is touched.

    Example: withhold bench toggle
    """
    found = _benchmarks()
    if name is not None and name not in found:
        raise InputError(f"benchmark {name[:40]!r}: expected one of {', '.join(sorted(found))}")
    wanted = sorted(found) if name is None else [name]
    results = {each: _run(found[each], quiet=as_json) for each in wanted}
    if as_json:
        give(results)


def _benchmarks() -> dict[str, Path]:
    found = {
        path.stem: path
        for path in FOLDER.glob("*.py")
        if "\ndef main(" in path.read_text(encoding="utf-8")
    }
    if not found:
        raise InputError("bench: no benchmarks are here; run it from the source tree (make bench)")
    return found


def _run(path: Path, *, quiet: bool) -> object:
    """Run the ``main`` of a benchmark; with ``quiet`` what it prints goes to stderr."""
    sys.path.insert(0, str(FOLDER.parent))
    spec = importlib.util.spec_from_file_location(f"bench.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"bench: {path.name} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[], object] = module.main
    printed_to = sys.stdout
    sys.stdout = sys.stderr if quiet else printed_to
    try:
        return main()
    finally:
        sys.stdout = printed_to

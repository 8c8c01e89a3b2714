"""``withhold seal`` and ``withhold bench``: work that a server or a maker of Withhold asks for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from withhold.cli.output import AsJson, Home, Product, give, opened, product_of, say
from withhold.domain.names import ProductId
from withhold.errors import InputError
from withhold.formats.quantity import quantity
from withhold.services import sealing

FOLDER = Path(__file__).parents[3] / "bench"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(seal)
    app.command()(bench)


def seal(product: Product = None, home: Home = None, as_json: AsJson = False) -> None:
    """Seal captured rows into lake files now; a server and every build do it by themselves.

    Example: withhold seal --product vibe
    """
    with opened(home) as ports:
        if product is not None:
            with ports.ledger.directory() as directory:
                directory.policy.product(ProductId(product))
        sealing.seal(ports, product_of(product))
        files = len(ports.files.files())
    if as_json:
        give({"files": files})
    else:
        say(f"Everything captured is sealed; the lake has {quantity(files, 'file')}.")


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
    results = {each: _run(each, quiet=as_json) for each in wanted}
    if as_json:
        give(results)


def _benchmarks() -> list[str]:
    found = [
        path.stem
        for path in FOLDER.glob("*.py")
        if "\ndef main(" in path.read_text(encoding="utf-8")
    ]
    if not found:
        raise InputError("bench: no benchmarks are here; run it from the source tree (make bench)")
    return found


def _run(name: str, *, quiet: bool) -> object:
    """Run the ``main`` of a benchmark; with ``quiet`` what it prints goes to stderr."""
    if str(FOLDER.parent) not in sys.path:
        sys.path.insert(0, str(FOLDER.parent))
    main: Callable[[], object] = importlib.import_module(f"bench.{name}").main
    printed_to = sys.stdout
    sys.stdout = sys.stderr if quiet else printed_to
    try:
        return main()
    finally:
        sys.stdout = printed_to

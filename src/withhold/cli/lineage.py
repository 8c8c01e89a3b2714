"""``--openlineage FILE``: what a build or an export did, told as OpenLineage events."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from withhold.adapters.events import EventFile
from withhold.domain.canonical_json import Json
from withhold.errors import WithholdError
from withhold.formats import openlineage
from withhold.formats.openlineage import Run, State
from withhold.ports import Clock

OpenLineage = Annotated[
    Path | None,
    typer.Option("--openlineage", help="A file that OpenLineage events are appended to."),
]
Tell = Callable[[dict[str, Json]], None]


@contextmanager
def told(file: Path | None, clock: Clock, run: Callable[[int, int], Run]) -> Iterator[Tell]:
    """Append START, and at the end COMPLETE with what was written, FAIL or ABORT.

    Yields:
        what takes the output, once it is there. Without a file nothing is told.
    """
    outputs: list[dict[str, Json]] = []
    if file is None:
        yield outputs.append
        return
    events, this = EventFile(file), run(clock.now_ms(), os.getpid())
    events.append(openlineage.event(this, State.START, clock.now_ms()))
    try:
        yield outputs.append
    except WithholdError as error:
        said = error.diagnostics()
        events.append(openlineage.event(this, State.FAIL, clock.now_ms(), error=said))
        raise
    except BaseException:
        events.append(openlineage.event(this, State.ABORT, clock.now_ms()))
        raise
    events.append(openlineage.event(this, State.COMPLETE, clock.now_ms(), outputs))

"""The loader: the one way a training run reads a dataset.

    with withhold.load("chat@3") as data:
        for batch in data.batches():
            ...

Opening checks every file of the dataset by length and hash, takes in every withdrawal up to the head of
the ledger, and starts a lease. Reading yields what is admitted at that head and, as the lease is
renewed, at later ones. Without renewal it stops (design section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from os import PathLike
from pathlib import Path

from withhold import settings
from withhold.adapters.embedded import Options as Watched
from withhold.adapters.embedded import exists, open_embedded
from withhold.domain.datasets import parse_ref
from withhold.domain.lease import DEFAULT_SECONDS
from withhold.errors import InputError
from withhold.loader.data import Data, Options
from withhold.loader.report import Report

__all__ = ["Data", "Report", "load"]


def load(
    dataset: str,
    *,
    home: str | PathLike[str] | None = None,
    lease_seconds: float = DEFAULT_SECONDS,
    columns: Sequence[str] = ("id", "messages"),
    batch_rows: int = 1024,
) -> Data:
    """Open a dataset for reading; use it in a ``with`` statement, or call ``close``.

    Args:
        dataset: name and version, for example ``chat@3`` or ``chat@latest``.
        home: the folder of the installation; WITHHOLD_HOME or ``./.withhold`` when left out.
        lease_seconds: how long the reader may go on without asking again, at most 60.
        columns: some of id, kind, conversation, project, api_key, messages.
        batch_rows: the most rows of a batch.

    Raises:
        InputError: a value is out of range or of another type, or there is no installation at ``home``.
        UnknownDataset: there is no such version.
        VerificationError: a file is missing, truncated or altered.
        LedgerBehind: the ledger is older than one that a witness has seen, so opt-outs may be missing.
    """
    wanted = (columns,) if isinstance(columns, str) else tuple(columns)
    options = Options(wanted, batch_rows, lease_seconds)
    ref = parse_ref(dataset)
    folder = Path(home) if home is not None else settings.home()
    if not exists(folder):
        raise InputError(f"home {folder}: no installation is here; set WITHHOLD_HOME or home=")
    stack = ExitStack()
    try:
        watched = Watched(witnesses=settings.witnesses())
        ports = stack.enter_context(open_embedded(folder, watched))
        ports.watch.gate.check()
        data = Data(ports, ref, options)
    except BaseException:
        stack.close()
        raise
    return data.closing(stack)

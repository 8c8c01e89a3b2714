"""The embedded default: every port over one folder, for any number of processes at once.

    keys.db      subject keys and the key of capture tokens; kept apart, so that backups need not hold it
    capture.db   the log of captured rows, and what is known of ids, documents and conversations
    control.db   ledger, directory, lake files, consent vectors, datasets
    lake/        Parquet files and their side indexes

They are made in this order, so that a folder with a control database has all of them. One that lost a
part is refused: made anew it would number rows or mint tokens as if nothing had ever happened.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from withhold.adapters.clock import SystemClock
from withhold.adapters.engines.local.engine import LocalEngine
from withhold.adapters.lake.parquet import ParquetLake
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.credentials import SqliteCredentials
from withhold.adapters.store.sqlite.datasets import SqliteDatasets
from withhold.adapters.store.sqlite.files import SqliteFiles
from withhold.adapters.store.sqlite.intake import SqliteIntake
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.readers import SqliteReaders
from withhold.errors import InputError, StorageError
from withhold.ports import Ports

KEYS, CAPTURE, CONTROL, LAKE = "keys.db", "capture.db", "control.db", "lake"
THREADS = 2


def exists(home: Path) -> bool:
    """Return whether the folder holds an installation."""
    return (home / CONTROL).exists()


@contextmanager
def open_embedded(home: Path, origin: str | None = None) -> Iterator[Ports]:
    """Open the installation in a folder, making it when the folder is empty or absent.

    Args:
        home: the folder.
        origin: the name of its log; one that is made without gets one by chance.

    Raises:
        StorageError: the disk refused, or a part of the installation is missing.
        InputError: the log has another name.
    """
    if exists(home):
        for part in (KEYS, CAPTURE, LAKE):
            if not (home / part).exists():
                raise StorageError(f"home {home}: {part} is missing; restore it from a backup")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / LAKE).mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"home {home}: it cannot be made ({error.strerror})") from error
    with ExitStack() as stack:
        ports = _compose(home, stack, origin)
        with suppress(
            StorageError
        ):  # an erasure that was cut off is completed by whoever comes next
            ports.ledger.purge()
        yield ports


def _compose(home: Path, stack: ExitStack, origin: str | None) -> Ports:
    keys = SubjectKeys(home / KEYS, origin)
    stack.callback(keys.close)
    if origin not in {None, keys.log_name()}:
        raise InputError(
            f"the log of this home is {keys.log_name()}, not {origin}; a name is given once, when the "
            "home is made: leave WITHHOLD_ORIGIN out"
        )
    intake = SqliteIntake(home / CAPTURE, _intake_key(keys))
    stack.callback(intake.close)
    control = Control(home / CONTROL)
    stack.callback(control.close)
    ledger = SqliteLedger(control, keys)
    return Ports(
        clock=SystemClock(),
        ledger=ledger,
        log=SqliteLog(control, LogKeys(keys)),
        files=SqliteFiles(control),
        datasets=SqliteDatasets(control, ledger),
        readers=SqliteReaders(control),
        credentials=SqliteCredentials(control),
        intake=intake,
        lake=ParquetLake(home / LAKE),
        engine=LocalEngine(THREADS),
    )


def _intake_key(keys: SubjectKeys) -> bytes:
    """Return the key of the hashes in the capture store; without it they are guesses."""
    return hmac.digest(keys.token_key(), b"withhold/intake/v1\0", "sha256")

"""The embedded default: every port over one folder, for any number of processes at once.

    keys.db      subject keys and the key of capture tokens; kept apart, so that backups need not hold it
    capture.db   the log of captured rows, and what is known of ids, documents and conversations
    control.db   ledger, directory, lake files, consent vectors, datasets
    lake/        Parquet files and their side indexes
    surfaces.db  who is signed in, and an index of members; made when it is needed, also when it is gone
    tags/        sorted tags of dataset versions, made with the first of them

The first four are there before anything is served, the control database last, so that a folder with one
has all of them. A folder that lost one of them is refused: made anew it would number rows or mint tokens
as if nothing had ever happened.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from withhold.adapters.clock import SystemClock
from withhold.adapters.engines.local.engine import LocalEngine
from withhold.adapters.lake.parquet import ParquetLake
from withhold.adapters.lake.tags import TagFiles
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.credentials import SqliteCredentials
from withhold.adapters.store.sqlite.datasets import SqliteDatasets
from withhold.adapters.store.sqlite.files import SqliteFiles
from withhold.adapters.store.sqlite.intake import SqliteIntake
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.members import SqliteMembers
from withhold.adapters.store.sqlite.readers import SqliteReaders
from withhold.adapters.store.sqlite.sessions import SqliteSessions
from withhold.adapters.store.sqlite.surfaces import SurfaceStore
from withhold.errors import StorageError
from withhold.ports import Ports

KEYS, CAPTURE, CONTROL, LAKE = "keys.db", "capture.db", "control.db", "lake"
SURFACES = "surfaces.db"
TAGS = "tags"
THREADS = 2


def exists(home: Path) -> bool:
    """Return whether the folder holds an installation."""
    return (home / CONTROL).exists()


@contextmanager
def open_embedded(home: Path) -> Iterator[Ports]:
    """Open the installation in a folder, making it when the folder is empty or absent.

    Raises:
        StorageError: the disk refused, or a part of the installation is missing.
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
        yield _compose(home, stack)


def _compose(home: Path, stack: ExitStack) -> Ports:
    keys = SubjectKeys(home / KEYS)
    stack.callback(keys.close)
    intake = SqliteIntake(home / CAPTURE, _intake_key(keys))
    stack.callback(intake.close)
    control = Control(home / CONTROL)
    stack.callback(control.close)
    surfaces = SurfaceStore(home / SURFACES)
    stack.callback(surfaces.close)
    ledger = SqliteLedger(control, keys)
    log = SqliteLog(control, LogKeys(keys))
    return Ports(
        clock=SystemClock(),
        ledger=ledger,
        log=log,
        files=SqliteFiles(control),
        datasets=SqliteDatasets(control, ledger, log),
        readers=SqliteReaders(control),
        credentials=SqliteCredentials(control),
        intake=intake,
        lake=ParquetLake(home / LAKE),
        engine=LocalEngine(THREADS),
        sessions=SqliteSessions(surfaces),
        members=SqliteMembers(control, surfaces),
        tags=TagFiles(home / TAGS, keys.many),
    )


def _intake_key(keys: SubjectKeys) -> bytes:
    """Return the key of the hashes in the capture store; without it they are guesses."""
    return hmac.digest(keys.token_key(), b"withhold/intake/v1\0", "sha256")

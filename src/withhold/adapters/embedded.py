"""The embedded default: every port over one folder, for any number of processes at once.

    keys.db      subject keys and the key of capture tokens; kept apart, so that backups need not hold it
    capture.db   the log of captured rows, and what is known of ids, documents and conversations
    control.db   ledger, directory, lake files, consent vectors, datasets
    lake/        Parquet files and their side indexes
    surfaces.db  who is signed in, and an index of members; made when it is needed, also when it is gone
    tags/        sorted tags of dataset versions, made with the first of them
    seen.json    the newest checkpoint that was seen, and what witnesses have seen

The first four are there before anything is served, the control database last, so that a folder with one
has all of them. A folder that lost one of them is refused: made anew it would number rows or mint tokens
as if nothing had ever happened.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from withhold.adapters.clock import SystemClock
from withhold.adapters.engines.local.engine import LocalEngine
from withhold.adapters.lake.parquet import ParquetLake
from withhold.adapters.lake.tags import TagFiles
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.credentials import SqliteCredentials
from withhold.adapters.store.sqlite.datasets import SqliteDatasets
from withhold.adapters.store.sqlite.files import SqliteFiles
from withhold.adapters.store.sqlite.gate import StoreGate
from withhold.adapters.store.sqlite.intake import SqliteIntake
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.members import SqliteMembers
from withhold.adapters.store.sqlite.readers import SqliteReaders
from withhold.adapters.store.sqlite.sessions import SqliteSessions
from withhold.adapters.store.sqlite.surfaces import SurfaceStore
from withhold.adapters.witness import witness_from
from withhold.adapters.witness.looks import FileLooks
from withhold.errors import InputError, StorageError
from withhold.ports import Ports, Watch
from withhold.services import witnessing

KEYS, CAPTURE, CONTROL, LAKE = "keys.db", "capture.db", "control.db", "lake"
SURFACES = "surfaces.db"
TAGS = "tags"
SEEN = "seen.json"
THREADS = 2


def exists(home: Path) -> bool:
    """Return whether the folder holds an installation."""
    return (home / CONTROL).exists()


@dataclass(frozen=True, slots=True)
class Options:
    """How a home is opened.

    Attributes:
        origin: the name of its log; None for whatever it has, or one by chance when it is made.
        witnesses: who has seen its head, as the settings name them.
        state: a folder of the user, outside of the home, that keeps what was last seen of each log.
    """

    origin: str | None = None
    witnesses: tuple[str, ...] = ()
    state: Path | None = None


AS_IT_IS = Options()


@contextmanager
def open_embedded(home: Path, options: Options = AS_IT_IS) -> Iterator[Ports]:
    """Open the installation in a folder, making it when the folder is empty or absent.

    What was seen of its log outside of the database is held against it. If it does not follow from that
    the gate is shut: it can be looked at, and nothing is recorded or yielded.

    Raises:
        StorageError: the disk refused, or a part of the installation is missing.
        InputError: the log has another name, or a witness is not one.
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
        ports = _compose(home, stack, options)
        witnessing.check(ports)
        with suppress(StorageError):  # whoever comes next completes an erasure that was cut off
            ports.ledger.purge(logs=False)
        yield ports


def _compose(home: Path, stack: ExitStack, options: Options) -> Ports:
    keys = SubjectKeys(home / KEYS, options.origin)
    stack.callback(keys.close)
    if options.origin not in {None, keys.log_name()}:
        raise InputError(
            f"the log of this home is {keys.log_name()}, not {options.origin}; a name is given once, "
            "when the home is made: leave WITHHOLD_ORIGIN out"
        )
    gate = StoreGate()
    intake = SqliteIntake(home / CAPTURE, _intake_key(keys), gate)
    stack.callback(intake.close)
    control = Control(home / CONTROL, gate)
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
        watch=_watch(home, gate, log, options),
    )


def _watch(home: Path, gate: StoreGate, log: SqliteLog, options: Options) -> Watch:
    """Return who watches; the user's own note of a log is found by the key it was made with."""
    looks = [FileLooks(home / SEEN)]
    if options.state is not None:
        name = sha256(str(log.keys()[0].key).encode()).hexdigest()[:32]
        looks.append(FileLooks(options.state / f"{name}.json"))
    return Watch(gate, tuple(witness_from(each, home) for each in options.witnesses), tuple(looks))


def _intake_key(keys: SubjectKeys) -> bytes:
    """Return the key of the hashes in the capture store; without it they are guesses."""
    return hmac.digest(keys.token_key(), b"withhold/intake/v1\0", "sha256")

"""What the services ask of the outside world. Each docstring is a contract.

Every public method raises only errors of `withhold.errors`; an adapter wraps what its libraries raise.
All methods are synchronous and may be called from any thread.

Three stores stand behind these ports. *The control store* (Ledger, Files, Datasets, Credentials) is one
database: everything that must hold together is one transaction there. *The capture store* (Intake) is a
second one, so that capturing never makes an opt-out wait. They meet at one number, the first ordinal
that is not yet sealed, and that number lives in the control store. *The store of the surfaces* (Sessions,
Members) is a third one and may be lost: everybody signs in again, and the index is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from withhold.ports.credentials import Credential, Credentials
from withhold.ports.datasets import Datasets, Reader, Readers
from withhold.ports.exports import ExportWriter, Piece
from withhold.ports.files import Applied, Files, LakeFile, Withdrawn
from withhold.ports.intake import (
    NO_ROWS,
    Intake,
    IntakeTransaction,
    KnownConversation,
    KnownId,
    RowBatch,
    Trace,
    TraceKind,
    Use,
)
from withhold.ports.lake import Engine, Lake, LakeRow
from withhold.ports.ledger import (
    Clock,
    ConsentTable,
    Ledger,
    Outcome,
    Record,
    Remembered,
    Transaction,
)
from withhold.ports.log import Log
from withhold.ports.members import Members
from withhold.ports.reading import Chunk, OpenFile
from withhold.ports.sessions import Sessions
from withhold.ports.tags import Tags
from withhold.ports.witness import Gate, Looks, Seen, Watch, Witness

__all__ = [
    "NO_ROWS",
    "Applied",
    "Chunk",
    "Clock",
    "ConsentTable",
    "Credential",
    "Credentials",
    "Datasets",
    "Engine",
    "ExportWriter",
    "Files",
    "Gate",
    "Intake",
    "IntakeTransaction",
    "KnownConversation",
    "KnownId",
    "Lake",
    "LakeFile",
    "LakeRow",
    "Ledger",
    "Log",
    "Looks",
    "Members",
    "OpenFile",
    "Outcome",
    "Piece",
    "Ports",
    "Reader",
    "Readers",
    "Record",
    "Remembered",
    "RowBatch",
    "Seen",
    "Sessions",
    "Shard",
    "Tags",
    "Trace",
    "TraceKind",
    "Transaction",
    "Use",
    "Watch",
    "Withdrawn",
    "Witness",
]


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything a service may ask for; put together once, in `app` (or by a test, from fakes)."""

    clock: Clock
    ledger: Ledger
    log: Log
    files: Files
    datasets: Datasets
    readers: Readers
    credentials: Credentials
    intake: Intake
    lake: Lake
    engine: Engine
    sessions: Sessions
    members: Members
    tags: Tags
    watch: Watch

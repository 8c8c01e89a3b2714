"""A lake of ordinary text for the benchmarks: the product's own files, written quickly.

About 1 KB of text a row that compresses like text, accounts by a Zipf law (exponent 1.1), four parties a
row (account, organisation, plan default, plan lock), a tenth of the accounts with a history of opt-outs,
half of which opted in again. Rows' positions are spread over that history.

Homes are kept under the system's temporary folder, up to `MOST_BYTES`; the oldest go first.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import withhold
from withhold.adapters.embedded import CAPTURE, open_embedded
from withhold.adapters.engines.local.engine import LocalEngine
from withhold.adapters.lake.columns import MESSAGES, SCHEMA, PartySets
from withhold.adapters.lake.parquet import ParquetLake
from withhold.adapters.lake.writer import FileWriter
from withhold.adapters.store.sqlite import schema
from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import FileNo, Ordinal, PartyNo, ProductId
from withhold.domain.parties import PartyKind
from withhold.domain.standing import Becomes, Effect
from withhold.domain.vectors import ConsentVector
from withhold.ports import LakeFile, Ports, Transaction
from withhold.services import sealing

VIBE = ProductId("vibe")
POLICY = Path(withhold.__file__).parent / "policies" / "default.toml"
CACHE = Path(tempfile.gettempdir()) / "withhold-bench"
MOST_BYTES = 8 * 1024**3
FORMAT = f"v5-{hashlib.sha256(''.join(schema.TABLES).encode()).hexdigest()[:8]}"

DEFAULT, LOCK = 0, 1
ORGANIZATIONS = 2_000
FIRST_ACCOUNT = 2 + ORGANIZATIONS
FILE_ROWS = sealing.USUAL.rows  # as a sealer makes them
TEXT_BYTES = 1_024
USER_BYTES = 224
BLOCKS = 32_768  # different texts; more than zstd's window sees at once


@dataclass(frozen=True)
class Shape:
    """How large a corpus is."""

    rows: int

    @property
    def accounts(self) -> int:
        """One account for every fifteen rows, at least a thousand."""
        return max(self.rows // 15, 1_000)


@contextmanager
def corpus(rows: int) -> Iterator[Ports]:
    """Open a home of its own over a cached corpus; what is changed in it is thrown away."""
    kept = _made(Shape(rows))
    home = Path(tempfile.mkdtemp(prefix="withhold-bench-"))
    try:
        for part in kept.iterdir():
            if part.name == "lake":
                (home / "lake").symlink_to(part)
            else:
                shutil.copyfile(part, home / part.name)
        with open_embedded(home) as ports:
            ledger: Any = ports.ledger
            ledger._check_directory = lambda *_: None  # noqa: SLF001 (its parties are nobody's)
            yield ports
    finally:
        shutil.rmtree(home)


def home_of(rows: int) -> Path:
    """Return where the cached corpus lies; it must not be changed."""
    return _made(Shape(rows))


def change(ports: Ports, parties: NDArray[np.int64], becomes: NDArray[np.int64]) -> None:
    """Append one entry for each change of a standing, a thousand a transaction."""
    pairs = list(zip(parties.tolist(), becomes.tolist(), strict=True))
    for at in range(0, len(pairs), 1_000):
        events = [
            Event(EventKind.POLICY_ADOPTED, None, {}, 0, (Effect(PartyNo(p), Becomes(b)),))
            for p, b in pairs[at : at + 1_000]
        ]

        def append(ledger: Transaction, events: list[Event] = events) -> None:
            for event in events:
                ledger.add(event)

        ports.ledger.append(append)


def captured(home: Path, rows: int) -> None:
    """Let the capture store say that it numbered the rows, which it never saw."""
    with apsw.Connection(str(home / CAPTURE)) as store:
        store.execute("INSERT OR REPLACE INTO ends VALUES (?, ?)", (VIBE, rows))
    store.close()


def zipf(generator: np.random.Generator, accounts: int, rows: int) -> NDArray[np.int64]:
    """Return an account for every row, by a Zipf law over shuffled accounts."""
    weights = np.cumsum(1.0 / np.arange(1, accounts + 1) ** 1.1)
    ranks = np.searchsorted(weights, generator.random(rows) * weights[-1])
    return generator.permutation(accounts)[ranks]


def _made(shape: Shape) -> Path:
    home = CACHE / f"{FORMAT}-{shape.rows}"
    if (home / "done").exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    _make_room(shape.rows * 700)
    home.mkdir(parents=True)
    with open_embedded(home) as ports:
        _fill(ports, home, shape)
    (home / "done").touch()
    return home


def _make_room(needed: int) -> None:
    homes = sorted(CACHE.glob("v*"), key=lambda p: p.stat().st_mtime) if CACHE.exists() else []
    used = {h: sum(f.stat().st_size for f in h.rglob("*") if f.is_file()) for h in homes}
    for home in homes:
        if sum(used.values()) + needed <= MOST_BYTES:
            return
        shutil.rmtree(home)
        del used[home]


def _fill(ports: Ports, home: Path, shape: Shape) -> None:
    generator = np.random.default_rng(7)
    _people(ports, shape, generator)
    head = ports.ledger.head()
    accounts = zipf(generator, shape.accounts, shape.rows)
    positions = generator.integers(1, head + 1, shape.rows)
    texts = _texts(generator)
    lake = ParquetLake(home / "lake")

    def write(file: LakeFile) -> LakeFile:
        rows = slice(file.first, file.first + file.rows)
        return _write(home / "lake", lake, texts, file, accounts[rows], positions[rows])

    planned = [
        LakeFile(FileNo(0), VIBE, "", 0, min(FILE_ROWS, shape.rows - first), Ordinal(first))
        for first in range(0, shape.rows, FILE_ROWS)
    ]
    for file in LocalEngine(2).map(write, planned):
        applied, bits = sealing.decide(ports, file)
        ports.files.register(file, ConsentVector(applied, bits))
    captured(home, shape.rows)


def _people(ports: Ports, shape: Shape, generator: np.random.Generator) -> None:
    def begin(ledger: Transaction) -> None:
        kinds = [PartyKind.PLAN_DEFAULT, PartyKind.PLAN_LOCK]
        kinds += [PartyKind.ORGANIZATION] * ORGANIZATIONS + [PartyKind.ACCOUNT] * shape.accounts
        made = [ledger.new_party(kind, VIBE, None) for kind in kinds]
        effects = tuple(Effect(party, Becomes.NEVER_OUT) for party in made)
        ledger.add(Event(EventKind.POLICY_ADOPTED, None, {}, 0, effects))
        ledger.adopted(POLICY.read_text(encoding="utf-8"))

    ports.ledger.append(begin)
    leaving = FIRST_ACCOUNT + generator.choice(shape.accounts, shape.accounts // 10, replace=False)
    back = leaving[: len(leaving) // 2]
    change(ports, leaving, np.full(len(leaving), int(Becomes.OUT)))
    change(ports, back, np.full(len(back), int(Becomes.ON)))


def _texts(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return blocks of words of a made-up language, the frequent ones short."""
    letters = np.array(list("etaoinshrdlucmfw"))
    lengths = np.minimum(2 + np.arange(8_000) // 900, 10)
    words = np.array(["".join(generator.choice(letters, n)) for n in lengths])
    picked = words[zipf(generator, len(words), BLOCKS * TEXT_BYTES // 4)]
    text = " ".join(picked.tolist()).encode()[: BLOCKS * TEXT_BYTES]
    return np.frombuffer(text, dtype=np.uint8).reshape(BLOCKS, TEXT_BYTES)


def _write(
    folder: Path,
    lake: ParquetLake,
    texts: NDArray[np.uint8],
    file: LakeFile,
    accounts: NDArray[np.int64],
    positions: NDArray[np.int64],
) -> LakeFile:
    distinct, first, inverse = np.unique(accounts, return_index=True, return_inverse=True)
    order = np.argsort(first)
    numbers = np.empty(len(order), dtype=np.int32)
    numbers[order] = np.arange(len(order), dtype=np.int32)
    who = distinct[order]
    parties = np.stack(
        [
            np.full(len(who), DEFAULT),
            np.full(len(who), LOCK),
            2 + who % ORGANIZATIONS,
            FIRST_ACCOUNT + who,
        ],
        axis=1,
    ).astype(np.uint32)
    offsets = np.arange(len(who) + 1, dtype=np.uint32) * 4
    with FileWriter(folder, VIBE, file.first) as writer:
        step = 16_384
        for at in range(0, file.rows, step):
            part = slice(at, at + step)
            writer.add(_columns(texts, file.first + at, positions[part], numbers[inverse[part]]))
        written = writer.finish(PartySets(offsets, parties.reshape(-1)))
    lake.holds(written, [PartyNo(DEFAULT)])  # makes the side index
    return written


def _columns(
    texts: NDArray[np.uint8], first: int, positions: NDArray[np.int64], sets: NDArray[np.int32]
) -> pa.RecordBatch:
    rows = len(positions)
    generator = np.random.default_rng(first)
    whole = texts[generator.integers(0, len(texts), rows)].tobytes()
    ends = np.arange(rows, dtype=np.int32) * TEXT_BYTES
    bounds = np.append(np.stack([ends, ends + USER_BYTES], axis=1).reshape(-1), rows * TEXT_BYTES)
    contents = pa.Array.from_buffers(
        pa.string(),
        2 * rows,
        [None, pa.py_buffer(bounds.astype(np.int32).tobytes()), pa.py_buffer(whole)],
    )
    roles = pa.array(["user", "assistant"] * rows, pa.string())
    messages = pa.ListArray.from_arrays(
        pa.array(np.arange(rows + 1, dtype=np.int32) * 2),
        pa.StructArray.from_arrays([roles, contents], fields=list(MESSAGES.value_type)),
        type=MESSAGES,
    )
    nothing = pa.nulls(rows, pa.string())
    return pa.record_batch(
        [
            pa.array([f"r{n}" for n in range(first, first + rows)], pa.string()),
            pa.array(np.zeros(rows, dtype=np.int8)),
            pa.array([f"c{n // 4}" for n in range(first, first + rows)], pa.string()),
            nothing,
            nothing,
            messages,
            pa.array(positions, pa.int64()),
            pa.array(sets, pa.int32()),
        ],
        schema=SCHEMA,
    )

"""What it costs to be checked: the tree over the ledger, its proofs and its signed checkpoints.

    python -m bench.proofs [--leaves 1000000] [--json]

Appending is measured in turns against the same rows in the same SQLite without a tree, each commit on disk,
both over a write-ahead log that was written once.
Making proofs is measured beside pymerkle when it is installed (the extra ``foreign``).
"""

from __future__ import annotations

import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

import apsw
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.log_state import written_over
from withhold.adapters.signing import SeedSigner, verifies
from withhold.adapters.store.sqlite import schema
from withhold.adapters.store.sqlite.control import WAL_PAGES, connect
from withhold.adapters.store.sqlite.worker import Worker
from withhold.domain.checkpoints import Checkpoint, LogKey, Trust, message, opened, signed
from withhold.domain.notes import SignatureType, parse_note
from withhold.domain.proofs import LogProof, check_proof, parse_proof
from withhold.domain.tiles import FullTile, RightEdge, TileHashes, check_tiles, stored_leaves
from withhold.domain.tree import (
    TreeHead,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hashes,
    root_at,
)

try:
    import pymerkle
except ImportError:
    pymerkle = None

ORIGIN = "example.com/log"
SIGNER = SeedSigner(ORIGIN, SignatureType.ED25519, bytes(32))
QUANTUM = SeedSigner(ORIGIN, SignatureType.ML_DSA_44, bytes(32))
INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
LOG_BYTES = 4096 * WAL_PAGES  # no commit makes either log longer
BODY_BYTES = 220  # of a sealed opt-out
BATCHES = {1: 600, 16: 400, 256: 150, 4096: 24}  # rows a commit, and commits on each side
TARGET_RATIOS = {1: 1.5, 256: 1.75}
TARGET_LEAVES = 10_000_000 / 12  # recomputed a second
TARGET_TIMES_PYMERKLE = 300
TARGET_TIMES_BARE = 1.5
Figures = dict[str, float]


def main(leaves: int = 1_000_000, folder: Path | None = None) -> Figures:
    """Measure, print a table, and return the figures."""
    figures: Figures = {"leaves": leaves}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        log = _Log(Path(name) / "log.db")
        figures |= _grown(log, leaves)
        figures |= _appended(log, Path(name) / "bare.db")
        figures |= _proved(log)
        figures |= _checked(log)
        if pymerkle is not None:
            figures |= _peer(Path(name) / "pymerkle.db", leaves)
            ratio = figures["pymerkle_inclusion_us"] / figures["inclusion_make_us"]
            figures["inclusion_times_faster_than_pymerkle"] = ratio
    _print(figures)
    return figures


# --- the log ------------------------------------------------------------------------------------------


class _Log:
    """A tree beside entries in SQLite, as `adapters.store.sqlite.log` keeps it.

    Full tiles are in the database, the right edge is in memory. The newest signature is in memory too:
    with Ed25519 its bytes follow from key and head alone, and the checkpoint is written once somebody asks
    for it.
    """

    def __init__(self, path: Path) -> None:
        self.connection = connect(path)
        self.connection.execute(schema.LEDGER + schema.LOG)
        self.edge = RightEdge()
        self.newest = b""
        self._full: Sequence[FullTile] = ()
        self._beside = Worker("withhold-beside")

    def read(self, level: int, number: int) -> bytes:
        return self.connection.execute(
            "SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, number)
        ).get

    def keep(self, full: Sequence[FullTile]) -> None:
        """Keep tiles that became full."""
        if full:
            self.connection.executemany(
                "INSERT INTO tiles VALUES (?, ?, ?)",
                [(tile.level, tile.number, tile.hashes) for tile in full],
            )

    def append(self, rows: list[tuple[object, ...]]) -> None:
        """Commit entries; the tree is grown and signed while the disk is flushed."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(INSERT, rows)
        self.keep(self._full)
        made = self._beside.begin(partial(self._made, rows))
        self.connection.execute("COMMIT")
        self.edge, self._full, self.newest = made.get()

    def _made(self, rows: list[tuple[object, ...]]) -> tuple[RightEdge, Sequence[FullTile], bytes]:
        edge, full = self.edge.grown(leaf_hashes([row[2] for row in rows]))  # type: ignore[misc]
        checkpoint = Checkpoint(ORIGIN, edge.head())
        return edge, full, SIGNER.sign(message(SIGNER.key, checkpoint, 0))

    def settle(self) -> None:
        """Keep what the next commit would keep, so that all tiles can be read."""
        self.keep(self._full)
        self._full = ()


def _entry(number: int) -> bytes:
    return b"withhold/entry/v1\0" + number.to_bytes(9, "big") + sha256(b"%d" % number).digest()


def _grown(log: _Log, leaves: int) -> Figures:
    spent = 0.0
    log.connection.execute("BEGIN IMMEDIATE")
    for first in range(0, leaves, 4096):
        hashes = leaf_hashes(map(_entry, range(first, min(first + 4096, leaves))))
        start = time.perf_counter()
        log.edge, full = log.edge.grown(hashes)
        spent += time.perf_counter() - start
        log.keep(full)
    log.connection.execute("COMMIT")
    start = time.perf_counter()
    check_tiles(log.edge, stored_leaves(log.edge, log.read), log.read)
    again = time.perf_counter() - start
    edge = sum(map(len, (*log.edge.partial, *log.edge.frontier.peaks)))
    return {
        "node_us": spent / leaves * 1e6,  # a leaf brings one node
        "node_floor_us": _floor(),
        "recomputed_leaves_per_second": leaves / again,
        "edge_bytes": edge,
    }


def _floor() -> float:
    """Return the microseconds that the library needs for one node."""
    left, right, times = bytes(32), bytes(32), 100_000
    start = time.perf_counter()
    for _ in range(times):
        sha256(b"\1" + left + right).digest()
    return (time.perf_counter() - start) / times * 1e6


def _appended(log: _Log, path: Path) -> Figures:
    """Commit batches to both databases in turns; return microseconds a commit, and ratios."""
    bare = connect(path)
    bare.execute(schema.LEDGER)
    for connection in (bare, log.connection):
        written_over(connection, LOG_BYTES)
    sides = {"insert": partial(_insert, bare), "append": log.append}
    numbers = itertools.count(1)
    figures: Figures = {}
    for batch, times in BATCHES.items():
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for turn in range(times):
            rows = [_row(next(numbers)) for _ in range(batch)]
            for side in sorted(sides, reverse=bool(turn % 2)):
                start = time.perf_counter()
                sides[side](rows)
                seconds[side].append(time.perf_counter() - start)
        for side, each in seconds.items():
            figures[f"{side}_{batch}_us"] = statistics.median(each) * 1e6
        figures[f"append_{batch}_times_insert"] = (
            figures[f"append_{batch}_us"] / figures[f"insert_{batch}_us"]
        )
    log.settle()
    return figures


def _row(number: int) -> tuple[object, ...]:
    return (number, 7, _entry(number), bytes(32), 1, 0, os.urandom(BODY_BYTES), bytes(5))


def _insert(connection: apsw.Connection, rows: list[tuple[object, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")


def _proved(log: _Log) -> Figures:
    """Make and check proofs at places taken by chance, with tiles read from the database."""
    chance, size, head = random.Random(4711), log.edge.size, log.edge.head()
    places = [chance.randrange(1, size) for _ in range(300)]
    inclusions, consistencies = (TileHashes(log.read).at(log.edge) for _ in range(2))
    figures = {
        "inclusion_make_us": median_us(
            [partial(inclusion_proof, at, size, inclusions) for at in places]
        ),
        "consistency_make_us": median_us(
            [partial(consistency_proof, at, size, consistencies) for at in places]
        ),
    }
    proofs = [inclusion_proof(at, size, inclusions) for at in places]
    figures["inclusion_check_us"] = median_us(
        [
            partial(check_inclusion, inclusions(0, at), at, proof, head)
            for at, proof in zip(places, proofs, strict=True)
        ]
    )
    figures["inclusion_bytes"] = max(32 * len(proof) for proof in proofs)
    checks, lengths = [], []
    for at in places[:50]:
        proof = consistency_proof(at, size, inclusions)
        checks.append(
            partial(check_consistency, TreeHead(at, root_at(at, inclusions)), head, proof)
        )
        lengths.append(32 * len(proof))
    return figures | {"consistency_check_us": median_us(checks), "consistency_bytes": max(lengths)}


def _checked(log: _Log) -> Figures:
    """Sign and check a checkpoint, and a whole proof, beside the bare arithmetic, in turns."""
    checkpoint = Checkpoint(ORIGIN, log.edge.head())
    trust = Trust(ORIGIN, (LogKey(SIGNER.key), LogKey(QUANTUM.key)))
    note = bytes(signed(checkpoint, [SIGNER], 0))
    text, line = message(SIGNER.key, checkpoint, 0), parse_note(note).signatures[0]
    hash_at = TileHashes(log.read).at(log.edge)
    path = inclusion_proof(777, log.edge.size, hash_at)
    leaf, proof = hash_at(0, 777), bytes(LogProof(777, path, note))
    public = Ed25519PublicKey.from_public_bytes(SIGNER.key.public)
    sides = {
        "ed25519_sign_us": lambda: signed(checkpoint, [SIGNER], 0),
        "ml_dsa_44_sign_us": lambda: signed(checkpoint, [QUANTUM], 0),
        "ed25519_bare_check_us": lambda: public.verify(line.data, text),
        "checkpoint_check_us": lambda: opened(note, trust, verifies),
        "proof_check_us": lambda: check_proof(leaf, parse_proof(proof), trust, verifies),
    }
    figures = {name: median_us([call] * 400) for name, call in sides.items()}
    figures["proof_check_times_bare"] = figures["proof_check_us"] / figures["ed25519_bare_check_us"]
    figures["proof_text_bytes"] = len(proof)
    return figures


def _peer(path: Path, leaves: int) -> Figures:
    tree = pymerkle.SqliteTree(str(path))
    tree.append_entries(_entry(n) for n in range(leaves))
    start = time.perf_counter()
    tree.get_root()
    root = time.perf_counter() - start
    chance = random.Random(4711)
    proof_us = median_us(
        [partial(tree.prove_inclusion, chance.randrange(leaves) + 1) for _ in range(5)]
    )
    tree.close()
    return {"pymerkle_inclusion_us": proof_us, "pymerkle_root_seconds": root}


def median_us(calls: Sequence[Callable[[], object]]) -> float:
    """Run every call once, in order; return the median microseconds of one."""
    seconds = []
    for call in calls:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e6


def _print(figures: Figures) -> None:
    table = Table(title=f"Proofs from {figures['leaves']:,.0f} leaves")
    for column in ("", "measured", "target"):
        table.add_column(column)
    for batch in BATCHES:
        sides = f"{figures[f'append_{batch}_us']:,.0f} : {figures[f'insert_{batch}_us']:,.0f} us"
        ratio = figures[f"append_{batch}_times_insert"]
        target = f"at most {TARGET_RATIOS[batch]} x" if batch in TARGET_RATIOS else ""
        table.add_row(f"signed append : insert, {batch} rows", f"{ratio:.2f} x ({sides})", target)
    targets = {
        "recomputed_leaves_per_second": f"at least {TARGET_LEAVES:,.0f}",
        "inclusion_times_faster_than_pymerkle": f"at least {TARGET_TIMES_PYMERKLE}",
        "proof_check_times_bare": f"at most {TARGET_TIMES_BARE}",
        "inclusion_bytes": f"at most {32 * (int(figures['leaves']) - 1).bit_length() + 32}",
    }
    for name, value in figures.items():
        if not name.startswith(("append_", "insert_")) and name != "leaves":
            digits = 2 if value < 10 else 0
            table.add_row(name.replace("_", " "), f"{value:,.{digits}f}", targets.get(name, ""))
    Console().print(table)


if __name__ == "__main__":
    run(main, __doc__)

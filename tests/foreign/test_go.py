"""Go's transparency logs (golang.org/x/mod/sumdb) check what we write: checkpoints, proofs and tiles.

Needs Debian's packages golang-go and golang-golang-x-mod-dev, or another Go with that module in a GOPATH.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.domain.test_tiles import Stored
from withhold.adapters.signing import SeedSigner
from withhold.domain.checkpoints import Checkpoint, signed
from withhold.domain.ledger import PUBLIC, entry_bytes, public_commitment
from withhold.domain.names import Position
from withhold.domain.notes import SignatureType, encoded
from withhold.domain.proofs import LogProof
from withhold.domain.tiles import TileHashes, TileId
from withhold.domain.tree import Frontier, consistency_proof, inclusion_proof, leaf_hash

GOPATH = Path("/usr/share/gocode")  # where Debian puts the sources of Go packages
IS_HERE = shutil.which("go") is not None and (GOPATH / "src/golang.org/x/mod/sumdb").is_dir()
pytestmark = [
    pytest.mark.foreign,
    pytest.mark.slow,
    pytest.mark.skipif(not IS_HERE, reason="needs golang-go and golang-golang-x-mod-dev"),
]

ORIGIN = "example.com/log"
SIZE = 70_000  # three levels of tiles, each with a partial one
ENTRIES = [entry_bytes(Position(n + 1), PUBLIC, public_commitment(b"%d" % n)) for n in range(SIZE)]
STORED = Stored([leaf_hash(entry) for entry in ENTRIES])
HASH_AT = TileHashes(STORED.read).at(STORED.edge)
CHANCE = random.Random(4711)
INDEXES = sorted({0, 255, 256, 65_535, 65_536, SIZE - 1, *CHANCE.sample(range(SIZE), 100)})
OLDER = sorted({1, 256, 65_536, SIZE - 1, SIZE, *CHANCE.sample(range(1, SIZE), 100)})


def build(name: str, folder: Path) -> Path:
    """Build one of the programs beside this file."""
    environment = {
        "PATH": os.defpath,
        "GO111MODULE": "off",
        "GOPATH": str(GOPATH),
        "GOCACHE": str(folder / "cache"),
        "CGO_ENABLED": "0",
    }
    source = Path(__file__).with_name(f"{name}.go")
    go = shutil.which("go")
    assert go is not None
    subprocess.run([go, "build", "-o", folder / name, source], check=True, env=environment)
    return folder / name


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("verify", tmp_path_factory.mktemp("go"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a log as others would fetch it."""
    signers = [
        SeedSigner(ORIGIN, SignatureType.ED25519, bytes(32)),
        SeedSigner("witness.example/w", SignatureType.ED25519_COSIGNATURE, b"w" * 32),
        SeedSigner(
            ORIGIN, SignatureType.ML_DSA_44, b"q" * 32
        ),  # Go does not know it, and says nothing
    ]
    note = bytes(signed(Checkpoint(ORIGIN, STORED.edge.head()), signers, 1_790_000_000))
    write(tmp_path / "checkpoint", note)
    write(tmp_path / "keys", "".join(f"{each.key}\n" for each in signers[:2]).encode())
    for index in INDEXES:
        proof = LogProof(index, inclusion_proof(index, SIZE, HASH_AT), note)
        write(tmp_path / f"proofs/{index}", bytes(proof))
        write(tmp_path / f"entries/{index}", ENTRIES[index])
    write(tmp_path / "older", "".join(map(older, OLDER)).encode())
    for (level, number), hashes in STORED.tiles.items():
        write(tmp_path / TileId(level, number).path, hashes)
    for level, hashes in enumerate(STORED.edge.partial):
        tile = TileId(level, SIZE >> 8 * (level + 1), len(hashes) // 32)
        write(tmp_path / tile.path, hashes)
    return tmp_path


def older(size: int) -> str:
    root = Frontier().grown([leaf_hash(entry) for entry in ENTRIES[:size]])[0].head().root
    proof = consistency_proof(size, SIZE, HASH_AT)
    return " ".join((str(size), *map(encoded, (root, *proof)))) + "\n"


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def run(program: Path, log: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, log], capture_output=True, text=True, check=False)


def test_go_opens_the_checkpoint_and_checks_every_proof_and_tile(program: Path, log: Path) -> None:
    result = run(program, log)
    assert result.stderr == ""
    expected = f"2 signatures, {len(INDEXES)} inclusions, {len(OLDER)} consistencies, "
    assert result.stdout.startswith(expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("checkpoint", "invalid signature"),
        ("entries/255", "invalid transparency proof"),
        ("tile/0/x001/000", ""),
        ("tile/2/000.p/1", "inconsistent tile"),
    ],
)
def test_go_refuses_what_was_altered(program: Path, log: Path, name: str, message: str) -> None:
    if name == "tile/0/x001/000":
        name = TileId(0, 0).path  # a tile of the first entry, whose proof is among those made again
    data = bytearray((log / name).read_bytes())
    data[len(ORIGIN) + 2] ^= 1  # of a checkpoint, a digit of its size
    (log / name).write_bytes(data)
    result = run(program, log)
    assert result.returncode == 1
    assert message in result.stderr

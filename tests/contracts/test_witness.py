"""What every `Witness` and every `Looks` promises, held against the fake and the real ones alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.adapters.test_exchange import dripping
from tests.contracts.test_log import fill
from tests.fakes.ledger import MemoryLedger, ports_over
from tests.fakes.log import MemoryLog
from tests.fakes.witness import MemoryLooks, MemoryWitness, WitnessServer, served
from withhold.adapters.witness import FileWitness, HttpWitness, witness_from
from withhold.adapters.witness.http import DEADLINE_SECONDS
from withhold.adapters.witness.looks import FileLooks
from withhold.domain.checkpoints import LogKey
from withhold.domain.notes import SignatureType
from withhold.domain.witnesses import Missing, Prove
from withhold.errors import InputError, StorageError, VerificationError, WitnessSilent
from withhold.ports import Looks, Ports, Seen, Witness
from withhold.services import log as logs


def a_log() -> Ports:
    ledger = MemoryLedger()
    return replace(ports_over(ledger), log=MemoryLog(ledger))


def forked(size: int, at: int) -> Ports:
    """Return a log of the same name whose entries differ from position ``at`` on."""
    ports = a_log()
    fill(ports, at - 1)
    logs.replace_key(ports)
    fill(ports, size)
    return ports


FIRST: LogKey = a_log().log.keys()[0]


@pytest.fixture
def server() -> Iterator[WitnessServer]:
    with served("withhold/test", FIRST) as running:
        yield running


@pytest.fixture(params=["memory", "file", "http"])
def witness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Witness]:
    if request.param == "memory":
        yield MemoryWitness()
    elif request.param == "file":
        yield FileWitness(tmp_path / "seen")
    else:
        server: WitnessServer = request.getfixturevalue("server")
        yield witness_from(server.setting)


def show(witness: Witness, ports: Ports, had: int = 0) -> None:
    witness.show(ports.log.checkpoint(), ports.log.consistency, had)


def test_a_log_that_grows_is_seen_again_and_again(witness: Witness) -> None:
    ports = a_log()
    size = 0
    for grown in (1, 2, 2, 7, 30):
        fill(ports, grown)
        show(witness, ports, size)
        size = grown


def test_an_empty_log_may_be_shown_first(witness: Witness) -> None:
    ports = a_log()
    show(witness, ports)
    fill(ports, 2)
    show(witness, ports)


def test_a_shorter_log_is_told_with_the_positions_that_are_missing(witness: Witness) -> None:
    longer, shorter = a_log(), a_log()
    fill(longer, 9)
    fill(shorter, 5)
    show(witness, longer)
    for _ in range(2):
        with pytest.raises(Missing, match="entries 6 to 9 are missing") as told:
            show(witness, shorter)
        assert (told.value.seen, told.value.position) == (9, 6)
    show(witness, longer, 9)  # it remembers what it had seen


@pytest.mark.parametrize("more", [0, 4])
def test_another_log_of_the_same_name_is_told(witness: Witness, more: int) -> None:
    ports = a_log()
    fill(ports, 6)
    show(witness, ports)
    other = forked(6 + more, at=6)
    with pytest.raises(
        (VerificationError, WitnessSilent)
    ):  # silent: the new key is not known to it
        show(witness, other)
    show(witness, ports, 6)


def test_one_that_forgot_what_it_had_seen_is_told_and_learns_nothing(witness: Witness) -> None:
    ports = a_log()
    fill(ports, 4)
    show(witness, ports)
    fill(ports, 9)
    for _ in range(2):
        with pytest.raises(VerificationError, match="it had seen 8 entries and knows of 4 now"):
            show(witness, ports, 8)
    show(witness, ports, 4)


def prove_nothing(_old: int, _new: int) -> tuple[bytes, ...]:
    return ()


def test_a_checkpoint_without_a_proof_is_not_taken(witness: Witness) -> None:
    ports = a_log()
    fill(ports, 3)
    show(witness, ports)
    fill(ports, 5)
    nothing: Prove = prove_nothing
    with pytest.raises(VerificationError, match="some entry from 1 to 3"):
        witness.show(ports.log.checkpoint(), nothing, 3)


# --- the file ---------------------------------------------------------------------------------------


def test_a_line_that_was_cut_off_counts_for_nothing(tmp_path: Path) -> None:
    path, ports = tmp_path / "seen", a_log()
    witness = FileWitness(path)
    for size in (2, 3):
        fill(ports, size)
        show(witness, ports)
    whole = path.read_bytes()
    cut = whole[: len(whole) - 7]
    path.write_bytes(cut)
    show(witness, ports, 2)
    assert path.read_bytes() == whole
    path.write_bytes(cut[:20])  # of the first line ever
    show(witness, ports)
    assert path.read_bytes() == whole.splitlines(keepends=True)[1]


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"x\n", b"{}\n", b'"no checkpoint"\n', b"\xff\n", b"x" * 70_000),
        *(b"my only copy of something", b'"withhold/another\\n7', b'"x'),
    ],
)
def test_garbage_in_the_file_is_a_fault(tmp_path: Path, garbage: bytes) -> None:
    path, ports = tmp_path / "seen", a_log()
    fill(ports, 2)
    path.write_bytes(garbage)
    with pytest.raises(VerificationError):
        show(FileWitness(path), ports)
    assert path.read_bytes() == garbage


def test_a_file_that_cannot_be_written_is_a_silent_witness(tmp_path: Path) -> None:
    ports = a_log()
    fill(ports, 1)
    with pytest.raises(WitnessSilent):
        show(FileWitness(tmp_path / "not mounted" / "seen"), ports)


# --- HTTP -------------------------------------------------------------------------------------------


def test_its_cosignature_is_given_and_it_is_asked_once_when_its_size_is_known(
    server: WitnessServer,
) -> None:
    ports, witness = a_log(), witness_from(server.setting)
    fill(ports, 3)
    (line,) = witness.show(ports.log.checkpoint(), ports.log.consistency, 0)
    assert (line.name, line.key_id) == (server.signer.key.name, server.signer.key.id)
    assert server.asked == 1
    fill(ports, 5)
    show(witness, ports)
    assert server.asked == 2
    show(witness_from(server.setting), ports)  # another process has to learn it first
    assert server.asked == 4


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/plain", b"", {}),
        (200, "text/plain", b"\xff\xfe", {}),
        (200, "text/plain", "\N{EM DASH} witness.example/w AAAAAAAA\n".encode(), {}),
        (200, "text/plain", "\N{EM DASH} someone.example/w AAAAAAAAAAAA\n".encode(), {}),
        (302, "text/plain", b"", {"Location": "http://127.0.0.1:1/"}),
        (403, "text/plain", b"", {}),
        (404, "text/plain", b"", {}),
        (409, "text/plain", b"9\n", {}),
        (409, "text/x.tlog.size", b"09\n", {}),
        (409, "text/x.tlog.size", b"-1\n", {}),
        (409, "text/x.tlog.size", b"1", {}),
        (500, "text/plain", b"", {}),
        (200, "text/plain", b"x" * 70_000, {}),
    ],
)
def test_an_answer_that_cannot_be_understood_is_no_answer(
    server: WitnessServer, answer: tuple[int, str, bytes, dict[str, str]]
) -> None:
    ports = a_log()
    fill(ports, 2)
    server.answer = answer
    with pytest.raises(WitnessSilent):
        show(witness_from(server.setting), ports)


def test_a_signature_over_another_checkpoint_does_not_count(server: WitnessServer) -> None:
    ports, other = a_log(), a_log()
    fill(ports, 2)
    fill(other, 3)
    (line,) = witness_from(server.setting).show(other.log.checkpoint(), other.log.consistency, 0)
    server.answer = (200, "text/plain", str(line).encode(), {})
    with pytest.raises(WitnessSilent, match="without a signature"):
        show(witness_from(server.setting), ports)


@pytest.mark.slow
def test_a_witness_that_never_ends_its_answer_is_no_answer_within_the_deadline() -> None:
    ports = a_log()
    fill(ports, 1)
    with dripping(b"HTTP/1.1 200 OK\r\nX-More: ", b"y" * 100) as port:
        witness = HttpWitness(("http", "127.0.0.1", port), "", MemoryWitness().signer.key)
        began = time.monotonic()
        with pytest.raises(WitnessSilent, match="no answer"):
            show(witness, ports)
        assert time.monotonic() - began < DEADLINE_SECONDS + 1


def test_nobody_there_is_no_answer() -> None:
    ports = a_log()
    fill(ports, 1)
    with served("withhold/test", FIRST) as running:
        witness = witness_from(running.setting)
    with pytest.raises(WitnessSilent):
        show(witness, ports)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "seen",
        "file:seen",
        "http://witness.example/x#KEY",
        "https://witness.example/x",
        "https://witness.example/x#nonsense",
        "https://user:secret@witness.example/x#KEY",
        "https://witness.example/x?y=z#KEY",
        "https://witness.example:port/x#KEY",
        "ftp://witness.example/x#KEY",
    ],
)
def test_what_is_no_witness_is_refused(text: str) -> None:
    key = str(MemoryWitness().signer.key)
    with pytest.raises(InputError):
        witness_from(text.replace("KEY", key))


def test_the_key_of_a_log_is_no_witness() -> None:
    assert FIRST.key.type is SignatureType.ED25519
    with pytest.raises(InputError, match="not one of a witness"):
        witness_from(f"https://witness.example#{FIRST.key}")


# --- what was last seen -----------------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def looks(request: pytest.FixtureRequest, tmp_path: Path) -> Looks:
    return MemoryLooks() if request.param == "memory" else FileLooks(tmp_path / "a" / "seen.json")


def test_what_was_seen_last_is_there(looks: Looks) -> None:
    assert looks.last() is None
    ports = a_log()
    for size in (1, 4):
        fill(ports, size)
        seen = Seen(ports.log.checkpoint(), {"witness": size})
        looks.keep(seen)
        assert looks.last() == seen


@pytest.mark.parametrize("garbage", [b"", b"{}", b'{"checkpoint": "x"}', b"\xff"])
def test_a_damaged_look_is_told(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "seen.json").write_bytes(garbage)
    with pytest.raises(VerificationError, match="damaged"):
        FileLooks(tmp_path / "seen.json").last()


def test_a_look_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ports = a_log()
    with pytest.raises(StorageError):
        FileLooks(tmp_path / "file" / "seen.json").keep(Seen(ports.log.checkpoint(), {}))

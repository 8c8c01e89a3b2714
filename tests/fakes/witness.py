"""Witnesses of a test: one in memory, and a small server that speaks C2SP tlog-witness and is strict.

The server knows one log by its name and its key. It checks the signature, the old size and the consistency
proof, remembers only what it cosigned, and refuses forks. It can be told to misbehave.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from withhold.adapters.signing import SeedSigner, verifies
from withhold.domain.checkpoints import (
    Checkpoint,
    LogKey,
    Trust,
    opened,
    parse_checkpoint,
    signature,
)
from withhold.domain.notes import Signature, SignatureType, decoded, parse_note
from withhold.domain.tree import EMPTY_ROOT, TreeHead, check_consistency
from withhold.domain.witnesses import Prove, follows, forgot
from withhold.errors import VerificationError, WithholdError, WitnessSilent
from withhold.ports import Seen

EMPTY = TreeHead(0, EMPTY_ROOT)


class MemoryWitness:
    """`Witness` in memory: remembers, and cosigns."""

    def __init__(self, name: str = "witness.example/memory") -> None:
        self.name = name
        self.signer = SeedSigner(name, SignatureType.ED25519_COSIGNATURE, b"m" * 32)
        self.seen: Checkpoint | None = None
        self.is_silent = False

    def show(self, note: bytes, prove: Prove, had: int) -> Sequence[Signature]:
        if self.is_silent:
            raise WitnessSilent(f"{self.name}: no answer")
        checkpoint = parse_checkpoint(parse_note(note).text)
        size = self.seen.head.size if self.seen is not None else 0
        if size < had:
            raise forgot(had, size)
        if self.seen is not None:
            follows(self.seen, checkpoint, prove)
        self.seen = checkpoint
        return (signature(self.signer, checkpoint, 1_790_000_000),)


class MemoryLooks:
    """`Looks` in memory."""

    def __init__(self) -> None:
        self._seen: Seen | None = None

    def last(self) -> Seen | None:
        return self._seen

    def keep(self, seen: Seen) -> None:
        self._seen = seen


@dataclass
class WitnessServer:
    """A witness on loopback.

    Attributes:
        answer: what it sends instead, when a test says so: status, content type, body, headers.
    """

    address: str
    signer: SeedSigner
    origin: str
    key: LogKey
    head: TreeHead = EMPTY
    asked: int = 0
    answer: tuple[int, str, bytes, dict[str, str]] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def setting(self) -> str:
        """What an operator writes for it."""
        return f"{self.address}/prefix#{self.signer.key}"

    def add(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        """Answer a request, by the specification's own order of checks."""
        if path != "/prefix/add-checkpoint":
            return 404, "text/plain", b""
        try:
            top, _, note = body.partition(b"\n\n")
            first, *lines = top.decode().split("\n")
            word, _, number = first.partition(" ")
            old, proof = int(number), tuple(map(decoded, lines))
            checkpoint = parse_checkpoint(parse_note(note).text)
        except (WithholdError, ValueError):
            return 400, "text/plain", b""
        if checkpoint.origin != self.origin:
            return 404, "text/plain", b""
        try:
            opened(note, Trust(self.origin, (self.key,)), verifies)
        except VerificationError:
            return 403, "text/plain", b""
        if word != "old" or old > checkpoint.head.size or (old == 0 and proof):
            return 400, "text/plain", b""
        with self.lock:
            return self._cosign(old, proof, checkpoint)

    def _cosign(
        self, old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint
    ) -> tuple[int, str, bytes]:
        if old != self.head.size:
            return 409, "text/x.tlog.size", f"{self.head.size}\n".encode()
        if old == checkpoint.head.size and self.head != checkpoint.head:
            return 409, "text/plain", b""
        try:
            check_consistency(self.head, checkpoint.head, proof)
        except VerificationError:
            return 422, "text/plain", b""
        self.head = checkpoint.head
        line = signature(self.signer, checkpoint, 1_790_000_000 + self.asked)
        return 200, "text/plain", str(line).encode()


@contextmanager
def served(origin: str, key: LogKey) -> Iterator[WitnessServer]:
    """Run a witness of one log until the block is left."""
    signer = SeedSigner("witness.example/w", SignatureType.ED25519_COSIGNATURE, b"w" * 32)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            witness.asked += 1
            status, kind, data = witness.add(self.path, body)
            more: dict[str, str] = {}
            if witness.answer is not None:
                status, kind, data, more = witness.answer
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    witness = WitnessServer(f"http://127.0.0.1:{server.server_port}", signer, origin, key)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield witness
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

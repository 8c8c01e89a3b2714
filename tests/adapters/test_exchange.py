"""An exchange ends by its deadline, whatever the other side does, and leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from withhold.adapters.clock import SystemClock
from withhold.adapters.witness.exchange import Answer, posted

SECONDS = 0.4


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[int]:
    """Serve one connection that gets some bytes at once and then others again and again."""
    listening = socket.create_server(("127.0.0.1", 0))
    is_done = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            accepted, _ = listening.accept()
            with accepted:
                accepted.sendall(first)
                while not is_done.wait(0.02):
                    accepted.sendall(drop)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        is_done.set()
        thread.join()
        listening.close()


@pytest.mark.parametrize(
    ("scheme", "first", "drop"),
    [
        ("http", b"", b""),
        ("http", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nX-Long: ", b"y"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"y"),
        ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\ny\r\n"),
        ("https", b"", b""),
        ("https", b"\x16\x03\x03\x10\x00", b"y"),
    ],
)
def test_somebody_who_sends_a_byte_now_and_then_is_too_late(
    scheme: str, first: bytes, drop: bytes
) -> None:
    before = set(threading.enumerate())
    with dripping(first, drop) as port:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            posted((scheme, "127.0.0.1", port), "/x", b"body", began + SECONDS)
        assert SECONDS <= time.monotonic() - began < SECONDS + 1
        asking = [thread for thread in threading.enumerate() if thread.daemon]
        for thread in set(asking) - before:  # its connection was cut, so it ends
            thread.join(5)
            assert not thread.is_alive()


def test_a_deadline_that_is_over_is_no_answer() -> None:
    with dripping(b"", b"") as port, pytest.raises(TimeoutError):
        posted(("http", "127.0.0.1", port), "/x", b"", time.monotonic() - 1)


# --- TLS --------------------------------------------------------------------------------------------


def certified(folder: Path) -> Path:
    """Make a certificate for ``localhost`` that signs itself; return the file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.fromtimestamp(SystemClock().now_ms() / 1000, dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[int, Path, list[str]]]:
    """A server behind TLS: its port, its certificate, and the hosts it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.headers["Host"])
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of clients that hang up."""

    path = certified(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port, path, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_that_is_trusted_is_taken(
    secure: tuple[int, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, path, asked = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    answer = posted(("https", "localhost", port), "/x", b"hello", time.monotonic() + 5)
    assert answer == Answer(200, "text/plain", b"hello")
    assert asked == [f"localhost:{port}"]


@pytest.mark.parametrize(("host", "is_trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_a_certificate_of_nobody_or_of_somebody_else_is_refused(
    secure: tuple[int, Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    is_trusted: bool,
) -> None:
    port, path, asked = secure
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ssl.SSLCertVerificationError):
        posted(("https", host, port), "/x", b"hello", time.monotonic() + 5)
    assert asked == []

"""One HTTP exchange that ends by a deadline, whatever the other side does.

A time limit on a socket holds for each operation alone, and none for looking up a name: whoever sends a
byte now and then is never over it. So the exchange runs on a thread, and at the deadline its connection is
cut and the thread left to end by itself.

Strict: one address, no redirects, no proxies, TLS checked, small answers.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import NamedTuple

MAX_ANSWER_BYTES = 64 * 1024

Place = tuple[str, str, int | None]
"""Scheme, host and port."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    media_type: str
    body: bytes


def posted(place: Place, path: str, body: bytes, ends: float) -> Answer:
    """Post plain text and return the answer.

    Args:
        place: whom to ask.
        path: of the address.
        body: to send.
        ends: the deadline, on the monotonic clock.

    Raises:
        OSError, http.client.HTTPException, ValueError: no answer, none that can be read, or too late.
    """
    exchange = _Exchange(place, ends)
    thread = threading.Thread(target=exchange.run, args=(path, body), daemon=True)
    thread.start()
    thread.join(max(0.0, ends - time.monotonic()))
    return exchange.result()


class _Exchange:
    """An exchange, its connection, and what became of it."""

    def __init__(self, place: Place, ends: float) -> None:
        self._scheme, self._host, self._port = place
        self._ends = ends
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_over = False
        self._answer: Answer | None = None
        self._error: Exception | None = None

    def run(self, path: str, body: bytes) -> None:
        """Do it; what it raises is for `result`."""
        try:
            self._answer = self._asked(path, body)
        except Exception as error:  # noqa: BLE001 (a thread has nobody to raise it to)
            self._error = error

    def result(self) -> Answer:
        """Return the answer there is now, or end the exchange without one."""
        answer, error = self._answer, self._error  # before cutting, which makes an error of its own
        with self._lock:
            self._is_over = True
            if self._socket is not None:
                with suppress(OSError):  # past TLS, which may be in use on the other thread
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        if answer is not None:
            return answer
        raise error or TimeoutError("no answer by the deadline")

    def _asked(self, path: str, body: bytes) -> Answer:
        connection = self._connection()
        try:
            connection.request(
                "POST",
                path,
                body,
                {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"},
            )
            with connection.getresponse() as answer:
                data = answer.read(MAX_ANSWER_BYTES + 1)
                if len(data) > MAX_ANSWER_BYTES:
                    raise ValueError("the answer is too long")
                return Answer(answer.status, answer.headers.get_content_type(), data)
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        """Return an open connection, each step of which can be cut."""
        if self._scheme == "http":
            connection = http.client.HTTPConnection(self._host, self._port)
            connection.sock = self._opened(connection.port)
            return connection
        context = ssl.create_default_context()
        secure = http.client.HTTPSConnection(self._host, self._port, context=context)
        plain = self._opened(secure.port)
        try:
            wrapped = context.wrap_socket(
                plain, server_hostname=self._host, do_handshake_on_connect=False
            )
        except BaseException:
            plain.close()
            raise
        secure.sock = wrapped
        try:
            self._hold(wrapped)
            wrapped.do_handshake()
        except BaseException:
            secure.close()
            raise
        return secure

    def _opened(self, port: int) -> socket.socket:
        opened = socket.create_connection((self._host, port), self._left())
        opened.settimeout(self._left())
        try:
            self._hold(opened)
        except BaseException:
            opened.close()
            raise
        return opened

    def _left(self) -> float:
        return max(0.001, self._ends - time.monotonic())

    def _hold(self, opened: socket.socket) -> None:
        """Let the connection be cut from now on, unless it is too late already."""
        with self._lock:
            if self._is_over:
                raise TimeoutError("no answer by the deadline")
            self._socket = opened

"""Serving: one socket, one process, until SIGTERM or Ctrl-C.

The socket is bound before anything else, so that a port in use is told at once, and begins to listen only
when the application is ready.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
from types import FrameType

import uvicorn
from litestar import Litestar

from withhold.errors import InputError
from withhold.web.live import Live

GRACE_SECONDS = 10  # for requests under way when the server is told to end


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound and does not listen yet.

    Raises:
        InputError: the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise InputError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; name another host:port with "
            "--listen, or set WITHHOLD_LISTEN to one"
        ) from None
    bound.set_inheritable(True)
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address that browsers open."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def end_on_signals() -> None:
    """Let SIGTERM and SIGINT end the process with exit code 0, closing what is open."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def collect_less() -> None:
    """Look for cycles seldom, and never among what was there at the start.

    A batch of a thousand rows makes tens of thousands of short-lived values without a cycle among them;
    looking through all of them and all modules took a sixth of the time of a capture.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def serve(application: Litestar, bound: socket.socket) -> None:
    """Serve until a signal; requests under way are answered first."""
    collect_less()
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config, application.state.live).run(sockets=[bound])


class _Server(uvicorn.Server):
    """A server that ends the connections that would never end by themselves, and then itself."""

    def __init__(self, config: uvicorn.Config, live: Live) -> None:
        super().__init__(config)
        self._live = live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let pages go, then answer what is under way."""
        self._live.close()
        await super().shutdown(sockets)


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)

"""``withhold up`` and ``withhold serve``: the server in the foreground."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from socket import socket
from typing import Annotated

import typer

from withhold import app as composition
from withhold import demo, settings
from withhold.cli.output import AsJson, Home, home_of
from withhold.web import figures
from withhold.web import log as web_log
from withhold.web import server as web_server

Listen = Annotated[
    str | None,
    typer.Option("--listen", help="host:port to listen on, instead of WITHHOLD_LISTEN."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(serve)


def up(home: Home = None, listen: Listen = None, as_json: AsJson = False) -> None:
    """Load the demo at the first start, then serve. WITHHOLD_DEMO=0 skips the demo.

    Example: withhold up --listen 127.0.0.1:8080
    """
    _run(home_of(home), listen, as_json=as_json, with_demo=settings.read().demo)


def serve(home: Home = None, listen: Listen = None, as_json: AsJson = False) -> None:
    """Serve the HTTP API and the start page, without the demo. Ends on SIGTERM or Ctrl-C.

    Example: withhold serve --home ./data
    """
    _run(home_of(home), listen, as_json=as_json, with_demo=False)


def _run(home: Path, listen: str | None, *, as_json: bool, with_demo: bool) -> None:
    read = settings.read()
    host, port = settings.parse_listen(listen) if listen is not None else (read.host, read.port)
    web_server.end_on_signals()
    web_log.configure()
    bound = web_server.bind(host, port)
    with bound, composition.open_ports(home, make=True) as ports:
        if with_demo and demo.is_wanted(ports, home):
            demo.load(ports, home, quiet=as_json)
        application = composition.application(ports, home, demo.offered(home))
        _announce(bound, home, as_json=as_json)
        web_server.serve(application, bound)


def _announce(bound: socket, home: Path, *, as_json: bool) -> None:
    address = web_server.address_of(bound)
    token = home / figures.TOKEN_FILE
    if as_json:
        print(json.dumps({"address": address, "home": str(home.absolute())}), flush=True)
        return
    print(f"Start page  {address}/")
    print(f"Console     {address}/console")
    print(f"Mobile app  {address}/m")
    print(f"API         {address}/v1/openapi.json")
    print(f"Data        {home.absolute()}")
    if token.exists():
        print(f"Token       {token.absolute()}  (for trying things; all scopes)")
    print("Ends with Ctrl-C.")
    sys.stdout.flush()

"""The answer to a press on the console's switch, at a steady rate on one worker.

    python -m bench.page [--seconds 20] [--rate 50]

A real server in a process of its own, accounts that are signed in, and presses by HTTP as htmx sends them:
each turns a switch off or on and is answered with the redrawn part of the page, after its entry is durable.
The same rate of toggles through the API stands beside it, and what a bare flush of the disk takes.
A press is sent when it is due, whatever became of the one before, so that a slow answer delays nobody.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from bench.command import run
from bench.toggle import raw_flush
from withhold import app
from withhold.domain.names import AccountId, PlanId, ProductId
from withhold.services import directory, sessions
from withhold.services.directory import AccountRequest
from withhold.web.auth import Scope, create_token
from withhold.web.sessions import COOKIE, form_token, hash_of, new_id

ACCOUNTS = 200
WARM_UP = 100  # presses that are not counted
TARGET_P99_MS = 15.0


class Visitor:
    """Somebody who is signed in, and whose switch is on."""

    def __init__(self, account: str, session_id: str, token: str) -> None:
        self.account = account
        self.cookies = {COOKIE: session_id}
        self._token = token
        self.is_on = True

    def off(self) -> dict[str, str]:
        return {"csrf": self._token, "product": "vibe", "allowed": "off"}

    def on(self, seen: int, notice: str) -> dict[str, str]:
        key = secrets.token_urlsafe(16)
        return {**self.off(), "allowed": "on", "seen": str(seen), "key": key, "notice": notice}


def provision(home: Path) -> tuple[list[Visitor], str, str]:
    """Make a home with accounts that are signed in; return them, an API token and the notice."""
    visitors = []
    with app.open_ports(home, make=True) as ports:
        names = [AccountId(f"a{n}") for n in range(ACCOUNTS)]
        plans = {ProductId("vibe"): PlanId("free")}
        directory.put_accounts(ports, [AccountRequest(name, None, plans) for name in names])
        for name in names:
            session_id, secret = new_id(), secrets.token_bytes(32)
            sessions.sign_in(ports, name, hash_of(session_id), secret)
            visitors.append(Visitor(name, session_id, form_token(secret)))
        with ports.ledger.directory() as snapshot:
            notice = snapshot.policy.notice
        return visitors, create_token(ports, "bench", [Scope.PREFERENCES]), notice


async def press(client: httpx.AsyncClient, visitor: Visitor, notice: str) -> None:
    """Turn a visitor's switch by the console's form, as htmx does."""
    form = visitor.off()
    if not visitor.is_on:
        status = await client.get("/console/vibe?turn=on", cookies=visitor.cookies)
        seen = int(status.text.partition('name="seen" value="')[2].partition('"')[0])
        form = visitor.on(seen, notice)
    started = time.perf_counter()
    answer = await client.post(
        "/console/vibe", data=form, cookies=visitor.cookies, headers={"HX-Request": "true"}
    )
    TIMES["page"].append(time.perf_counter() - started)
    visitor.is_on = not visitor.is_on
    assert answer.status_code == 200, answer.text
    assert f'aria-checked="{str(visitor.is_on).lower()}"' in answer.text


TIMES: dict[str, list[float]] = {"page": [], "api": []}


async def put(client: httpx.AsyncClient, visitor: Visitor, token: str) -> None:
    """Turn a visitor's switch through the API."""
    started = time.perf_counter()
    answer = await client.put(
        f"/v1/accounts/{visitor.account}/preferences/vibe",
        json={"allowed": not visitor.is_on},
        headers={"Authorization": f"Bearer {token}"},
    )
    TIMES["api"].append(time.perf_counter() - started)
    visitor.is_on = not visitor.is_on
    assert answer.status_code == 200, answer.text


async def steadily(do: Callable[[int], Awaitable[None]], rate: int, times: int) -> None:
    """Begin one after another at a steady rate, and wait for all."""
    begun: list[asyncio.Task[None]] = []
    start = time.perf_counter()
    for number in range(times):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        begun.append(asyncio.ensure_future(do(number)))
    await asyncio.gather(*begun)


async def measure(
    address: str, visitors: list[Visitor], token: str, notice: str, rate: int, seconds: int
) -> None:
    limits = httpx.Limits(max_keepalive_connections=32)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=30) as client:
        ways: dict[str, Callable[[int], Awaitable[None]]] = {
            "page": lambda n: press(client, visitors[n % ACCOUNTS], notice),
            "api": lambda n: put(client, visitors[n % ACCOUNTS], token),
        }
        for name, way in ways.items():
            await steadily(way, rate, WARM_UP)
            TIMES[name].clear()
            await steadily(way, rate, rate * seconds)


def main(seconds: int = 20, rate: int = 50) -> dict[str, float]:
    """Measure, print a table, and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        visitors, token, notice = provision(home)
        command = [sys.executable, "-m", "withhold", "serve", "--json", "--home", str(home)]
        server = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
        )
        try:
            assert server.stdout is not None
            address = json.loads(server.stdout.readline())["address"]
            for _ in range(100):
                try:
                    if httpx.get(f"{address}/healthz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            asyncio.run(measure(address, visitors, token, notice, rate, seconds))
        finally:
            server.terminate()
            server.wait(30)
        flush = raw_flush(Path(folder))
        flushes = []
        for _ in range(500):
            start = time.perf_counter()
            flush()
            flushes.append(time.perf_counter() - start)
    figures = {}
    for name, samples in (*TIMES.items(), ("flush", flushes)):
        figures[f"{name}_median_ms"] = statistics.median(samples) * 1e3
        figures[f"{name}_p99_ms"] = statistics.quantiles(samples, n=100)[98] * 1e3
    _print(figures, rate)
    return figures


def _print(figures: dict[str, float], rate: int) -> None:
    table = Table(title=f"A switch turned over HTTP, {rate} a second, one worker")
    for column in ("", "median", "p99", "target"):
        table.add_column(column)
    for name, what, target in (
        ("page", "a press on the console", f"p99 under {TARGET_P99_MS:.0f} ms"),
        ("api", "the same by PUT", ""),
        ("flush", "a bare flush", ""),
    ):
        median, p99 = figures[f"{name}_median_ms"], figures[f"{name}_p99_ms"]
        table.add_row(what, f"{median:.1f} ms", f"{p99:.1f} ms", target)
    Console().print(table)


if __name__ == "__main__":
    run(main, __doc__)

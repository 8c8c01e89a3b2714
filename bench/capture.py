"""Capture: rows a second through the service and through HTTP, beside what the disk alone would take.

    python -m bench.capture [--rows 100000] [--json]

Rows are about 1 KB of text, of 10,000 accounts (Zipf), in batches of 1,000, half of them chats with a
conversation. "raw log" writes and flushes the same bytes and nothing else. What goes through the service
goes through it with the server's settings of the garbage collector.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import withhold
from bench.command import run
from withhold.adapters.embedded import open_embedded
from withhold.domain.accounts import Opens
from withhold.domain.names import AccountId
from withhold.formats.interactions import decode_lines
from withhold.ports import Ports
from withhold.services import capture, directory, policies
from withhold.services.directory import AccountRequest
from withhold.web.server import collect_less

ACCOUNTS, BATCH = 10_000, 1_000
CLIENTS = 3  # so that one batch is decoded while another waits for the disk
WORDS = [
    "when",
    "the",
    "model",
    "answers",
    "a",
    "question",
    "about",
    "trains",
    "it",
    "should",
    "say",
    "where",
    "they",
    "stop",
    "and",
    "why",
]
COMMAND = (sys.executable, "-m", "withhold")
SHIPPED = Path(withhold.__file__).parent / "policies" / "default.toml"


def bodies(rows: int, seed: int) -> Iterator[bytes]:
    """Yield batches as JSON lines."""
    draw = random.Random(seed)
    weights = [1 / (n + 10) for n in range(ACCOUNTS)]
    who = draw.choices(range(ACCOUNTS), weights, k=rows)
    for first in range(0, rows, BATCH):
        yield b"\n".join(
            _line(draw, seed, n, who[n]) for n in range(first, min(first + BATCH, rows))
        )


def _line(draw: random.Random, seed: int, number: int, account: int) -> bytes:
    text = " ".join(draw.choices(WORDS, k=85))
    row = {
        "id": f"{seed}-{number}",
        "product": "vibe",
        "kind": "conversation",
        "account": f"account-{account}",
        "messages": [
            {"role": "user", "content": text},
            {"role": "assistant", "content": " ".join(draw.choices(WORDS, k=85))},
        ],
    }
    if number % 2:
        row["conversation"] = f"chat-{seed}-{number // 6}"
    return json.dumps(row).encode()


def provision(ports: Ports) -> None:
    """Open the accounts under the shipped policy."""
    policies.adopt(ports, SHIPPED.read_text(encoding="utf-8"))
    accounts = [
        AccountRequest(AccountId(f"account-{n}"), (), {}, Opens("on")) for n in range(ACCOUNTS)
    ]
    directory.put_accounts(ports, accounts)


def raw_log(batches: list[bytes], home: Path) -> None:
    """Write and flush every batch, and nothing else."""
    file = os.open(home / "raw", os.O_CREAT | os.O_WRONLY)
    for body in batches:
        os.write(file, body)
        os.fdatasync(file)
    os.close(file)


def through_service(ports: Ports, batches: list[bytes]) -> None:
    """Decode and capture every batch."""
    for body in batches:
        answer = capture.capture(ports, decode_lines(body))
        assert answer.accepted == BATCH


def rate(name: str, rows: int, action: Callable[[], object]) -> float:
    """Time an action, print its rows a second, and return them."""
    start = time.perf_counter()
    action()
    spent = time.perf_counter() - start
    print(f"{name:<34}{rows / spent:>12,.0f} rows/s{spent / rows * 1e6:>10.1f} us a row")
    return rows / spent


def main(rows: int = 100_000) -> dict[str, float]:
    """Print the table, and return the figures."""
    figures: dict[str, float] = {"rows": rows}
    with tempfile.TemporaryDirectory(
        prefix="withhold-bench-", dir=os.environ.get("WITHHOLD_BENCH_DIR")
    ) as folder:
        home = Path(folder)
        with open_embedded(home / "home") as ports:
            provision(ports)
            collect_less()  # as the server does, so that the difference to HTTP is HTTP
            batches = list(bodies(rows, 1))
            size = sum(map(len, batches)) / rows
            print(
                f"{rows:,} rows of {size:,.0f} bytes, batches of {BATCH:,}, {ACCOUNTS:,} accounts"
            )
            more = list(bodies(rows, 2))
            for key, name, action in (
                ("raw_log", "raw log: write + fdatasync", lambda: raw_log(batches, home)),
                ("decoding", "decoding alone", lambda: [list(decode_lines(b)) for b in batches]),
                ("cold", "decode + capture, cold caches", lambda: through_service(ports, batches)),
                ("warm", "decode + capture, warm caches", lambda: through_service(ports, more)),
            ):
                figures[f"{key}_rows_per_second"] = rate(name, rows, action)
            posted = _through_http(home / "home", list(bodies(rows, 3)))
            figures["post_rows_per_second"] = posted
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, corpus included: {peak:,.0f} MB")
    return figures | {"peak_mb": peak}


def _through_http(home: Path, batches: list[bytes]) -> float:
    """Post every batch to one worker in a process of its own; return rows a second."""
    said = subprocess.run(
        [*COMMAND, "token", "create", "--scope", "capture", "--home", str(home), "--json"],
        check=True,
        capture_output=True,
    )
    headers = {
        "Authorization": f"Bearer {json.loads(said.stdout)['token']}",
        "Content-Type": "application/x-ndjson",
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*COMMAND, "serve", "--home", str(home), "--listen", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        connections = [_connected(port) for _ in range(CLIENTS)]
        _post(connections[0], batches[0], headers)
        rest = batches[1:]
        shares = [(c, rest[n::CLIENTS], headers) for n, c in enumerate(connections)]

        def post_all() -> None:
            with ThreadPoolExecutor(CLIENTS) as clients:
                list(clients.map(lambda share: _post_all(*share), shares))

        return rate(f"POST, 1 worker, {CLIENTS} clients", len(rest) * BATCH, post_all)
    finally:
        server.terminate()
        server.wait(30)


def _connected(port: int) -> http.client.HTTPConnection:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            if answer.status == 200:
                return connection
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def _post_all(
    connection: http.client.HTTPConnection, batches: list[bytes], headers: dict[str, str]
) -> None:
    for body in batches:
        _post(connection, body, headers)


def _post(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> None:
    connection.request("POST", "/v1/interactions", body, headers)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    if answer.status != 200 or said["accepted"] != BATCH:
        raise SystemExit(f"capture answered {answer.status}: {said}")


if __name__ == "__main__":
    run(main, __doc__)

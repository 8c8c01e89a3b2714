"""A real server in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.house.tree import ROOT

WITHHOLD = (sys.executable, "-m", "withhold")


def environment(home: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],  # noqa: TID251 (what a child process needs)
        "PYTHONPATH": str(ROOT / "src"),
        "WITHHOLD_HOME": str(home),
        "WITHHOLD_LISTEN": "127.0.0.1:0",
        "XDG_STATE_HOME": str(home.parent / "state"),
        **more,
    }


@dataclass
class Server:
    """A server that answers."""

    process: subprocess.Popen[str]
    address: str

    def ready(self) -> Server:
        """Wait until it answers."""
        for _ in range(200):
            with suppress(OSError), urlopen(f"{self.address}/healthz", timeout=10) as answer:
                if answer.status == 200:
                    return self
            time.sleep(0.05)
        raise AssertionError("the server did not become ready in ten seconds")

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def running(home: Path, command: str = "serve", **more: str) -> Iterator[Server]:
    """Run ``withhold COMMAND --json`` until the block is left."""
    process = subprocess.Popen(
        [*WITHHOLD, command, "--json"],
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = json.loads(process.stdout.readline())["address"]
        yield Server(process, address)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)
        process.stdout.close()

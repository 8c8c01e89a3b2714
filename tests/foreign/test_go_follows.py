"""Go's client of transparency logs follows a running server: checkpoint, tiles, bundles of entries."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.server import running
from tests.e2e.test_server import ready
from tests.foreign.test_go import IS_HERE, build
from withhold import app
from withhold.domain.names import AccountId
from withhold.ports import Ports
from withhold.services import directory, log
from withhold.services.directory import AccountRequest

pytestmark = [
    pytest.mark.foreign,
    pytest.mark.slow,
    pytest.mark.skipif(not IS_HERE, reason="needs golang-go and golang-golang-x-mod-dev"),
]


def fill(ports: Ports, size: int) -> None:
    first = ports.ledger.head()
    directory.put_accounts(ports, [AccountRequest(AccountId(f"a{n}")) for n in range(first, size)])


def follow(program: Path, *words: str) -> list[str]:
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_go_follows_a_running_server_as_the_log_grows(tmp_path: Path) -> None:
    program, home = build("follow", tmp_path), tmp_path / "home"
    with app.open_ports(home, make=True) as ports, running(home, WITHHOLD_DEMO="0") as server:
        ready(server.address)
        address, key = f"{server.address}/log", str(ports.log.keys()[0].key)
        seen: list[str] = []
        for size in (1, 3, 256, 300, 700):
            fill(ports, size)
            seen = follow(program, address, key, *seen)[:2]
            assert seen[0] == str(size)
        log.replace_key(ports)  # the tree that says so is signed by both
        assert follow(program, address, key, *seen)[0] == "701"
        ports.ledger.append(lambda _: (log.replace_key(ports), fill(ports, 703)))
        new = str(ports.log.keys()[-1].key)
        for known in (key, new):  # the old key alone leads to the new one
            size, _, believed = follow(program, address, known, *seen)
            assert (size, believed) == ("703", new)
        forged = subprocess.run(
            [program, address, new, "300", seen[1]], capture_output=True, text=True, check=False
        )
        assert forged.returncode == 1

"""A real server, a real command line and a real reader over one home, at the same time."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import withhold
from tests.e2e.server import WITHHOLD, environment, running
from withhold.web import figures


def ready(address: str) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the server did not become ready in ten seconds")


def command(home: Path, *words: str) -> Any:
    done = subprocess.run(
        [*WITHHOLD, *words, "--json"],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_server_commands_and_readers_see_each_others_writes_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        ready(server.address)
        token = command(home, "token", "create", "--scope", "directory,capture,preferences,build")
        headers = {"Authorization": f"Bearer {token['token']}"}
        with httpx.Client(base_url=server.address, headers=headers) as client:
            assert client.put("/v1/accounts/ana", json={}).status_code == 200
            row = {"product": "vibe", "kind": "conversation", "account": "ana"}
            rows = [
                {**row, "id": f"ana-{n}", "messages": [{"role": "user", "content": str(n)}]}
                for n in range(3)
            ]
            assert client.post("/v1/interactions", json=rows).json()["accepted"] == 3
            assert command(home, "build", "chat", "--product", "vibe")["admitted"] == 3
            with withhold.load("chat@1", home=home) as data:
                assert sum(batch.num_rows for batch in data.batches()) == 3

            off = command(home, "opt-out", "ana", "--product", "vibe")
            seen = client.get("/v1/accounts/ana/preferences/vibe").json()
            assert seen == off
            assert client.get("/v1/datasets/chat@1").json()["now"]["admitted"] == 0
            with withhold.load("chat@1", home=home) as data:
                assert sum(batch.num_rows for batch in data.batches()) == 0
            again = client.post("/v1/datasets/chat/versions", json={"product": "vibe"}).json()
            assert (again["version"], again["admitted"]) == (2, 0)
            assert command(home, "where", "ana")["datasets"][0]["rows"] == 0
        assert server.end() == 0
    with running(home) as server:  # and after a restart
        ready(server.address)
        answered = httpx.get(
            f"{server.address}/v1/accounts/ana/preferences/vibe", headers=headers
        ).json()
        assert answered == off
        assert server.end() == 0


def test_an_open_reader_stops_yielding_after_an_opt_out_over_http(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        ready(server.address)
        token = command(home, "token", "create", "--scope", "directory,capture,preferences,build")
        headers = {"Authorization": f"Bearer {token['token']}"}
        with httpx.Client(base_url=server.address, headers=headers) as client:
            client.put("/v1/accounts/ana", json={})
            rows = [
                {
                    "id": f"r{n}",
                    "product": "vibe",
                    "kind": "conversation",
                    "account": "ana",
                    "messages": [{"role": "user", "content": str(n)}],
                }
                for n in range(50)
            ]
            client.post("/v1/interactions", json=rows)
            client.post("/v1/datasets/chat/versions", json={"product": "vibe"})
            with withhold.load("chat@1", home=home, lease_seconds=1, batch_rows=1) as data:
                batches = data.batches()
                assert next(batches).num_rows == 1
                client.put("/v1/accounts/ana/preferences/vibe", json={"allowed": False})
                time.sleep(1.1)
                assert sum(batch.num_rows for batch in batches) == 0
                assert data.report().dropped_midway == 50
        assert server.end() == 0


def test_up_loads_the_demo_once_and_serves_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, "up") as server:
        ready(server.address)
        page = httpx.get(server.address).text
        assert "chat@1" in page
        assert "plan locked" in page
        assert server.end() == 0
    token = home / figures.TOKEN_FILE
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    shown = figures.read(home)
    assert shown is not None
    by_plan = {(plan.product, plan.plan): plan for plan in shown.plans}
    assert by_plan["Vibe", "Teams"].admitted == 0
    assert by_plan["Vibe", "Enterprise"].not_stored.keys() == {"plan_locked"}
    assert by_plan["Studio & API", "Scale"].not_stored.keys() == {"plan_default"}
    assert by_plan["Vibe", "Free"].withheld["account_off"] > 0
    for plan in shown.plans:
        assert plan.sent == (
            plan.admitted + sum(plan.not_stored.values()) + sum(plan.withheld.values())
        )
    head = command(home, "verify")["position"]
    with running(home, "up") as server:
        ready(server.address)
        assert httpx.get(f"{server.address}/healthz").json()["position"] == head
        assert server.end() == 0


def test_a_demo_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    with running(whole, "up") as server:
        assert server.end() == 0
    process = subprocess.Popen(
        [*WITHHOLD, "up", "--json"],
        env=environment(broken),
        stdout=subprocess.PIPE,
    )
    capture = broken / "capture.db"
    for _ in range(1000):
        if capture.exists() and (broken / figures.FILE).exists():
            break
        time.sleep(0.01)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    with running(broken, "up") as server:
        assert server.end() == 0
    assert figures.read(broken) == figures.read(whole)


def test_without_the_demo_nothing_is_loaded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, "up", WITHHOLD_DEMO="0") as server:
        ready(server.address)
        assert httpx.get(f"{server.address}/healthz").json()["position"] == 1
        assert server.end() == 0
    assert figures.read(home) is None


def test_a_port_in_use_is_told_in_one_line(tmp_path: Path) -> None:
    with running(tmp_path / "one") as server:
        ready(server.address)
        taken = server.address.removeprefix("http://")
        done = subprocess.run(
            [*WITHHOLD, "serve"],
            env=environment(tmp_path / "two", WITHHOLD_LISTEN=taken),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert "cannot listen on" in done.stderr
        assert not (tmp_path / "two").exists()
        assert server.end() == 0

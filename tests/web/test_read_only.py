"""A server over a ledger that is behind: it says so, answers nobody's change, and stays up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from litestar.testing import TestClient

from tests.web.conftest import Api
from withhold import app
from withhold.services import witnessing
from withhold.web.auth import Scope, create_token
from withhold.web.upkeep import Upkeep


def test_a_server_over_an_older_ledger_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("WITHHOLD_WITNESS", f"file:{tmp_path / 'seen'}")
    with (
        app.open_ports(home, make=True) as ports,
        TestClient(app.application(ports, home)) as client,
    ):
        api = Api(client, ports, home, create_token(ports, "all", Scope))
        api.account("ana")
        Upkeep(ports, lambda _product: None, lambda: None).show()
        healthy = client.get("/healthz")
        assert healthy.status_code == 200
        assert healthy.json()["witnesses_behind"] == 0
    shutil.copytree(home, tmp_path / "backup")
    with app.open_ports(home) as ports, TestClient(app.application(ports, home)) as client:
        Api(client, ports, home, api.token).turn("ana", False)
        witnessing.witness(ports)
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "backup", home)
    with app.open_ports(home) as ports, TestClient(app.application(ports, home)) as client:
        api = Api(client, ports, home, api.token)
        health = client.get("/healthz")
        assert health.status_code == 503
        assert "entries 3 to 3 are missing" in health.json()["reason"]
        for allowed in (True, False):
            refused = api.turn("ana", allowed)
            assert refused.status_code == 503
            assert refused.json()["type"] == "urn:withhold:problem:read-only"
            assert "read-only" in refused.json()["detail"]
        assert api.send("GET", "/v1/accounts/ana/preferences/vibe").status_code == 200
        assert client.get("/log/checkpoint").status_code == 200
        upkeep = Upkeep(ports, lambda _product: None, lambda: None)
        upkeep.once()
        upkeep.show()


def test_upkeep_keeps_and_shows_a_head_once_in_a_while(api: Api) -> None:
    upkeep = Upkeep(api.ports, lambda _product: None, lambda: None)
    upkeep.show()
    first = api.ports.log.kept()
    assert first is not None
    api.account("ana")
    upkeep.show()  # just done
    assert api.ports.log.kept() == first

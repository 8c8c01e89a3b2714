"""The HTTP surface in process: the real application over a real home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from tests.web.surfaces import Surfaces, surfaces_in
from withhold import app
from withhold.ports import Ports
from withhold.web.auth import Scope, create_token


@dataclass
class Api:
    """A client with a token for everything, and short ways to the common requests."""

    client: TestClient[Any]
    ports: Ports
    home: Path
    token: str

    def send(self, method: str, path: str, token: str | None = None, **how: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token or self.token}", **how.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **how)

    def token_for(self, *scopes: Scope) -> str:
        return create_token(self.ports, "test", scopes)

    def account(self, name: str, **body: Any) -> None:
        answered = self.send(
            "PUT", f"/v1/accounts/{name}", json=body or {"plans": {"vibe": "free"}}
        )
        assert answered.status_code == 200, answered.text

    def organization(self, name: str, **plans: str) -> None:
        answered = self.send(
            "PUT", f"/v1/organizations/{name}", json={"name": name, "plans": plans}
        )
        assert answered.status_code == 200, answered.text

    def chat(self, row: str, account: str, **more: Any) -> dict[str, Any]:
        answered = self.send("POST", "/v1/interactions", json=[chat(row, account, **more)])
        assert answered.status_code == 200, answered.text
        return answered.json()

    def turn(
        self, account: str, allowed: bool, product: str = "vibe", **how: Any
    ) -> httpx.Response:
        path = f"/v1/accounts/{account}/preferences/{product}"
        return self.send("PUT", path, json={"allowed": allowed}, **how)

    def build(self, name: str = "chat", product: str = "vibe") -> dict[str, Any]:
        answered = self.send("POST", f"/v1/datasets/{name}/versions", json={"product": product})
        assert answered.status_code == 200, answered.text
        return answered.json()


def chat(row: str, account: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"the text of {row}"}]
    return {
        "id": row,
        "product": "vibe",
        "kind": "conversation",
        "account": account,
        "messages": messages,
        **more,
    }


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    home = tmp_path / "home"
    with (
        app.open_ports(home, make=True) as ports,
        TestClient(app.application(ports, home)) as client,
    ):
        yield Api(client, ports, home, create_token(ports, "all", Scope))


@pytest.fixture(scope="session")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with everybody in it, made once: tests open copies of it."""
    home = tmp_path_factory.mktemp("people") / "home"
    with surfaces_in(home):
        pass
    return home


@pytest.fixture
def surfaces(tmp_path: Path, provisioned: Path) -> Iterator[Surfaces]:
    home = tmp_path / "home"
    shutil.copytree(provisioned, home)
    with surfaces_in(home) as opened:
        yield opened

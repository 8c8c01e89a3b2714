"""A server over a ledger that is behind: it says so, answers nobody's change, and stays up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from tests.web.browsing import Page
from tests.web.conftest import Api
from tests.web.surfaces import MOBILE_LABEL, VIBE, VIBE_LABEL, Surfaces, surfaces_in
from withhold import app
from withhold.domain.directory import SubjectKind
from withhold.services import builds, preferences, witnessing
from withhold.services.preferences import PreferenceRequest
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


# --- what people see ------------------------------------------------------------------------------


@pytest.fixture
def restored(
    tmp_path: Path, provisioned: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Surfaces]:
    """Give people at browsers over a home that was put back and misses an opt-out that a witness saw."""
    home = tmp_path / "home"
    monkeypatch.setenv("WITHHOLD_WITNESS", f"file:{tmp_path / 'seen'}")
    shutil.copytree(provisioned, home)
    with app.open_ports(home) as ports:
        builds.build(ports, "chat", VIBE)
    shutil.copytree(home, tmp_path / "backup")
    with app.open_ports(home) as ports:
        off = PreferenceRequest(SubjectKind.ACCOUNT, "free", VIBE, False, "console")
        preferences.set_preference(ports, off)
        witnessing.witness(ports)
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "backup", home)
    with surfaces_in(home) as opened:
        yield opened


def is_told(page: Page) -> bool:
    return "This installation is read-only: its log is missing entries" in page.text


PAGES = (
    *("/", "/sign-in", "/console/vibe", "/console/privacy", "/console/data", "/console/history"),
    *("/m", "/m/data-controls", "/m/data", "/m/history"),
)


def test_every_page_says_that_it_is_read_only_and_what_that_means(restored: Surfaces) -> None:
    person = restored.person("free")
    for path in PAGES:
        page = person.open(path)
        assert person.answer.status_code == 200, path
        assert is_told(page), path
        assert "No data is used for training meanwhile." in page.text
        assert "The provider has to restore it." in page.text


def test_no_page_says_so_while_everything_can_be_recorded(surfaces: Surfaces) -> None:
    person = surfaces.person("free")
    assert not [path for path in PAGES if is_told(person.open(path))]


@pytest.mark.parametrize("scripts", [False, True], ids=["no scripts", "scripts"])
@pytest.mark.parametrize(
    ("path", "role", "label"),
    [("/console/vibe", "switch", VIBE_LABEL), ("/m/data-controls", "checkbox", MOBILE_LABEL)],
)
def test_a_press_is_told_why_and_not_to_try_again(
    restored: Surfaces, path: str, role: str, label: str, scripts: bool
) -> None:
    person = restored.person("free")
    person.open(path)
    person.scripts = scripts
    head = restored.ports.ledger.head()
    page = person.press(role, label)
    assert person.answer.status_code == 503
    said = next(
        e.text for e in page.elements if e["role"] == "alert" and "hidden" not in e.attributes
    )
    assert "Nothing was changed." in said
    assert "read-only: its log is missing entries" in said
    assert "Try again" not in page.text
    assert page.control(role, label)["aria-checked"] == "true"
    assert restored.ports.ledger.head() == head

"""A save that fails is called not confirmed, moves nothing and leaves nothing behind (S3)."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Route

from tests.browser.accessibility import violations
from tests.browser.chromium import NARROW, WIDE, Look
from tests.browser.conftest import Visit
from tests.browser.faces import BOTH, CONSOLE, Face, Visitor
from tests.browser.site import Site, site
from tests.browser.watch import LOST, Watch

FACES = pytest.mark.parametrize("face", BOTH, ids=str)
NO_ROOM_BYTES = 4096  # less than the first page of a write-ahead log


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Site]:
    """Give a server that may be broken."""
    with site(tmp_path / "home") as opened:
        yield opened


@contextmanager
def no_room(broken: Site) -> Iterator[None]:
    """Let no file of the server grow: to it, the disk is full."""
    pid = broken.server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (NO_ROOM_BYTES, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def receipts(visitor: Visitor) -> list[str | None]:
    """Return the addresses of the receipts that the page offers."""
    links = visitor.page.get_by_role("link", name="Receipt").all()
    return [link.get_attribute("href") for link in links]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
@pytest.mark.parametrize("look", [WIDE, NARROW, Look(scripts=False)], ids=str)
@FACES
def test_a_full_disk_is_called_not_confirmed_and_what_held_holds(
    own: Site, visit: Visit, watch: Watch, face: Face, look: Look
) -> None:
    ana = own.account("ana")
    visitor = visit(own, ana, face, look)
    head, offered = own.ports.ledger.head(), receipts(visitor)
    with no_room(own):
        visitor.control.click()
        visitor.says("Not confirmed.")
        visitor.shows(on=True)
        assert receipts(visitor) == offered
        assert violations(visitor.page) == []
    watch.expected("status of 50[03]")
    assert own.ports.ledger.head() == head
    assert own.status(ana).allowed
    visitor.turn_it_off()  # and when there is room again, it is saved
    assert own.status(ana).position == head + 1


@FACES
def test_a_server_that_died_is_called_not_confirmed_and_the_switch_does_not_move(
    own: Site, visit: Visit, watch: Watch, face: Face
) -> None:
    ana = own.account("ana")
    # the script that the page installs might still be on its way when the server dies
    visitor = visit(own, ana, face, may_install=False)
    head, offered = own.ports.ledger.head(), receipts(visitor)
    own.server.process.kill()
    own.server.process.wait()
    visitor.control.click()
    visitor.says("Not confirmed.")
    visitor.shows(on=True)
    assert receipts(visitor) == offered
    assert violations(visitor.page) == []
    visitor.page.close()
    watch.expected(LOST)
    assert own.ports.ledger.head() == head


def test_an_answer_that_was_lost_is_told_after_all_by_what_was_recorded(
    own: Site, visit: Visit, watch: Watch
) -> None:
    ana = own.account("ana")
    visitor = visit(own, ana, CONSOLE)

    def lose_answer(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort("connectionreset")
        else:
            route.continue_()

    visitor.page.route("**" + CONSOLE.address, lose_answer)
    visitor.control.click()
    visitor.shows(on=False, within_seconds=2)  # by the mark of what is new: no answer came
    assert not own.status(ana).allowed
    visitor.page.close()
    watch.expected(LOST)

"""Upkeep while the server runs: withdrawals reach the vectors, captured rows lake files, versions tags.

Nothing depends on it for being right: builds, readers and lookups apply what is withdrawn themselves. It
keeps the time between a confirmation and the last vector short (S35), and the log small. A pass that
fails is logged and tried again; other processes may do the same work at once. Witnesses are shown the head
beside the passes.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from litestar import Litestar

from withhold.domain.names import Position, ProductId
from withhold.errors import StorageError
from withhold.ports import Ports
from withhold.services import withdrawals, witnessing
from withhold.web.log import told
from withhold.web.routes import off_loop

PASS_SECONDS = 1.0  # between passes when nobody wakes it: other processes write too
WITNESS_SECONDS = 10.0  # between two heads that are kept and shown to witnesses
WITNESS_ENTRIES = 10_000  # so many new entries are shown at once
PURGE_SECONDS = 60.0  # at most between two tries to complete an erasure
SEAL_ROWS = 50_000  # so many rows in the log are worth a file
TAG_SECONDS = 60.0  # after tagging failed: a lost file does not come back within a pass
SEAL_SECONDS = 60.0  # fewer wait this long, so that a quiet log does not become many small files

_log = structlog.get_logger("withhold.upkeep")


def seal_in_child(home: Path, product: ProductId) -> None:
    """Seal a product's rows in a process of its own.

    Sealing is Python, and in this process it would take the interpreter from requests: captures went from
    15,000 to 13,000 rows a second while it ran.

    Raises:
        StorageError: it failed; the next pass tries again.
    """
    _in_child("seal", "--product", product, "--home", str(home))


def tag_in_child(home: Path) -> None:
    """Tag every version that is not tagged yet, in a process of its own: hashing is Python too.

    Raises:
        StorageError: it failed; a later pass tries again.
    """
    _in_child("tag", "--home", str(home))


def _in_child(*arguments: str) -> None:
    done = subprocess.run(  # noqa: S603 (our own interpreter, arguments from the policy)
        [sys.executable, "-m", "withhold", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-200:].strip()
        raise StorageError(f"withhold {arguments[0]} failed: {said}")


class Upkeep:
    """The background pass of one server."""

    def __init__(
        self, ports: Ports, seal: Callable[[ProductId], None], tag: Callable[[], None]
    ) -> None:
        self._ports = ports
        self._seal = seal
        self._tag = tag
        self._no_tags_before = 0.0
        self._no_purge_before, self._purge_seconds = 0.0, PASS_SECONDS
        self._awake = asyncio.Event()
        self._waiting_since: dict[ProductId, float] = {}
        self._is_told = False
        self._witnessed, self._witnessed_at = Position(0), -WITNESS_SECONDS

    def wake(self) -> None:
        """Begin a pass now: something was withdrawn."""
        self._awake.set()

    @asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Run as long as the application does; a pass under way at the end is finished."""
        tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._run_witnesses())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                # not wait_for: before Python 3.12 it loses a cancellation that comes with the wake-up
                async with asyncio.timeout(PASS_SECONDS):
                    await self._awake.wait()
            self._awake.clear()
            await self._tried(self.once)

    async def _run_witnesses(self) -> None:
        """Show the head by itself: others may be slow, and nothing is to wait for them."""
        while True:
            await asyncio.sleep(PASS_SECONDS)
            await self._tried(self.show)

    async def _tried(self, work: Callable[[], None]) -> None:
        try:
            await off_loop(work)
        except Exception as error:  # noqa: BLE001 (the next pass tries again; nothing is admitted by it)
            _log.warning("upkeep failed, trying again", error=told(error))

    def once(self) -> None:
        """Do one pass; a ledger that is behind is left as it is."""
        if self._ports.watch.gate.reason:
            self._tell_once()
            return
        self._purge()
        if self._ports.files.cursor() < self._ports.ledger.head():
            withdrawals.apply(self._ports)
        with self._ports.ledger.directory() as directory:
            products = [product.id for product in directory.policy.products]
        for product in products:
            if self._is_due(product):
                self._seal(product)
        if time.monotonic() >= self._no_tags_before and self._ports.datasets.untagged():
            self._no_tags_before = time.monotonic() + TAG_SECONDS
            self._tag()
            self._no_tags_before = 0.0

    def _purge(self) -> None:
        """Complete erasures; while somebody who reads is in the way, try less and less often."""
        now = time.monotonic()
        if now < self._no_purge_before:
            return
        if self._ports.ledger.purge():
            self._purge_seconds = PASS_SECONDS
        else:
            self._no_purge_before = now + self._purge_seconds
            self._purge_seconds = min(2 * self._purge_seconds, PURGE_SECONDS)

    def _tell_once(self) -> None:
        if not self._is_told:
            self._is_told = True
            _log.error("the ledger is read-only", reason=self._ports.watch.gate.reason)

    def show(self) -> None:
        """Show the head to the witnesses, if something was appended and it was not just done."""
        if self._ports.watch.gate.reason:
            return
        head, now = self._ports.ledger.head(), time.monotonic()
        new = head - self._witnessed
        if not new or (new < WITNESS_ENTRIES and now - self._witnessed_at < WITNESS_SECONDS):
            return
        reports = witnessing.witness(self._ports)
        self._witnessed, self._witnessed_at = head, now
        for report in reports:
            if report.fault:
                _log.warning("a witness", witness=report.witness, fault=report.fault)
                self._witnessed = Position(0)  # asked again

    def _is_due(self, product: ProductId) -> bool:
        """Return whether the log of a product is long or old enough to be sealed."""
        rows = self._ports.intake.end(product) - self._ports.files.sealed(product)
        if not rows:
            self._waiting_since.pop(product, None)
            return False
        now = time.monotonic()
        waited = now - self._waiting_since.setdefault(product, now)
        if rows < SEAL_ROWS and waited < SEAL_SECONDS:
            return False
        del self._waiting_since[product]
        return True

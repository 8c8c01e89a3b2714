"""Walks a trace of the model over the real adapters, and asserts the promises after every step.

A half-step ("reads", "decides", "asks") runs the real job on a thread of its own up to the port call
after which others can act; the second half lets it go on to its end (`job`). What the real code refuses
is noted in ``refused`` and the trace goes on.

The driver's notes are naive: everything of a person who was ever spoken against in a trace is forbidden
in every version, and everything of the others must be in it. The traces are short enough for that.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulator import VIBE, Provider
from withhold.domain.datasets import DatasetRef
from withhold.domain.vectors import withheld
from withhold.errors import ConflictError, LeaseExpired, PolicyFileError, StorageError
from withhold.loader.data import Data, Options
from withhold.ports import Ports
from withhold.services import builds, sealing, withdrawals

from .job import STUCK, Job, Through, Watched
from .search import Trace

LEASE = 2.0  # ticks, as in the model; the reader's clock counts them as seconds
PLAN = {"home": "free", "acme": "pro"}  # the plan people have there: both start on and unlocked


class Driver:
    """One walk. ``wrong`` does one thing wrong, to show that the assertions see it."""

    def __init__(self, home: Path, wrong: Callable[[Driver], None] = lambda _: None) -> None:
        self.provider = Provider(home)
        self.real = self.provider.ports
        self.provider.found("acme", vibe=PLAN["acme"])
        self.provider.sign_up("cy")  # a stranger without rows
        self.people: set[str] = set()
        self.rows: dict[str, str] = {}  # every row that was sent -> whose it is
        self.spoken_against: set[str] = set()
        self.confirmed: dict[str, int] = {}  # who was told "out" and has not turned on since
        self.tokens: dict[str, str] = {}
        self.jobs: dict[str, Job] = {}
        self.refused: list[str] = []
        self.ticks = 0.0
        self.clock: Callable[[], float] = lambda: self.ticks
        self._waiting: list[Future[Any]] = []
        wrong(self)

    @property
    def ports(self) -> Ports:
        return self.provider.ports

    def close(self) -> None:
        for job in self.jobs.values():
            job.crash()
        wait(self._waiting, STUCK)
        self.provider.close()

    def walk(self, trace: Trace) -> None:
        for verb, *words in trace:
            getattr(self, f"_{verb}")(*words)
            self.check()
        assert not self.jobs, "a job was left half way"
        assert "ana" in self.spoken_against, "nothing is forbidden: the trace shows nothing"
        self.check_at_the_end()

    # --- people and plans -----------------------------------------------------------------------

    def _sign_up(self, who: str, opens: str) -> None:
        self.provider.sign_up(who, opens=opens)
        self.people.add(who)
        if opens == "out":
            self.spoken_against.add(who)

    def _move(self, who: str, where: str) -> None:
        self.provider.move(who, *([] if where == "home" else [where]))

    def _lock(self, where: str, how: str) -> None:
        """Lock a plan; a locked plan whose default is on is not a valid policy, so both change."""
        assert (where, how) == ("home", "on"), "no other lock is in a trace"
        try:
            self.provider.adopt(VIBE, PLAN[where], locked=True)
        except PolicyFileError:
            self.refused.append("PolicyFileError")
        self.provider.adopt(VIBE, PLAN[where], locked=True, default_on=False)
        self.spoken_against.add("ana")

    def _opt_out(self, who: str) -> None:
        """Turn off; while a commit is in its transaction the answer comes after it."""
        self.spoken_against.add("ana" if who == "acme" else who)
        pool = ThreadPoolExecutor(1)
        said = pool.submit(self.provider.opt_out, who, organization=who == "acme")
        pool.shutdown(wait=False)
        if "commit" in self.jobs and wait([said], 1.0).not_done:
            self.refused.append("opt_out waits")
            self._waiting.append(said)
        else:
            self.confirmed[who] = said.result(STUCK).position

    def _opt_in(self, who: str) -> None:
        self.provider.opt_in(who, organization=who == "acme")
        self.confirmed.pop(who, None)

    def _confirm(self, who: str) -> None:
        assert who in self.confirmed

    def _status(self, who: str) -> None:
        """What holds is asked after every step."""

    def _crash(self) -> None:
        self.provider.crash()
        self.real = self.provider.ports

    # --- what they make -------------------------------------------------------------------------

    def _token(self, row: str) -> None:
        self.tokens[row] = self.provider.token()

    def _accept(self, row: str) -> None:
        """The product takes the content in; nothing for Withhold to see."""

    def _chat(self, row: str, who: str, how: str, document: str | None = None) -> None:
        used = () if document is None else (_sha256(document),)
        token = self._token_for(row, how)
        answer = self.provider.chat(who, row, token=token, attachments=used)
        self._sent(row, who, answer)

    def _attach(self, row: str, who: str, how: str) -> None:
        token = self._token_for(row, how)
        self._sent(row, who, self.provider.upload(who, row, _sha256(row), token=token))

    def _token_for(self, row: str, how: str) -> str | None:
        if how == "claim":  # the head, in a token that was signed for another position
            raw = base64.urlsafe_b64decode(self.tokens[row])
            claimed = raw[:2] + self.provider.head.to_bytes(8, "big") + raw[10:]
            return base64.urlsafe_b64encode(claimed).decode()
        return self.tokens[row] if how == "token" else None

    def _sent(self, row: str, who: str, answer: Any) -> None:
        self.rows[row] = who
        if who not in self.people:
            self.spoken_against.add(who)
        if answer.rejected:
            self.refused.append(f"rejected: {answer.rejected[0].reason.partition(':')[0]}")
        elif answer.withheld:
            self.refused.append("withheld")

    # --- jobs, in halves ------------------------------------------------------------------------

    def _seal(self, half: str) -> None:
        def work(job: Job) -> None:
            register = self._halfway(job, self.ports.files.register)
            sealing.seal(replace(self.ports, files=Through(self.ports.files, register=register)))

        self._half(half, "seal", "decides", work)

    def _apply(self, who: str, half: str) -> None:
        def work(job: Job) -> None:
            apply = self._halfway(job, self.ports.files.apply)

            def watched(after: Any, to: Any, added: Any, **more: Any) -> None:
                apply(after, to, Watched(added, job), **more)

            withdrawals.apply(replace(self.ports, files=Through(self.ports.files, apply=watched)))

        if half == "moves the position":  # as far as it can: into its transaction, and no further
            self.jobs[who].go_on()
            self.check()
            self.jobs.pop(who).crash()
            self.refused.append("all or nothing")
        else:
            self._half(half, who, "reads", work)

    def _build(self, name: str, half: str = "") -> None:
        def work(job: Job) -> None:
            def commit(manifest: Any, concerns: Callable[..., bool], at: int) -> Any:
                def checked(withdrawal: Any) -> bool:
                    answer = concerns(withdrawal)
                    job.stop()
                    return answer

                return stopping(manifest, checked, at)

            stopping = self._halfway(job, self.ports.datasets.commit)
            datasets = Through(self.ports.datasets, commit=commit)
            builds.build(replace(self.ports, datasets=datasets), name, VIBE)

        if not half:
            builds.build(self.ports, name, VIBE)
        elif half == "checks":  # something to look at, so that the check is seen inside the commit
            self.provider.opt_out("cy")
            self.jobs["commit"].go_on()
        else:
            self._half(half, "commit", "decides", work)
        if half == "commits":
            for said in self._waiting:
                confirmed = self.confirmed["ana"] = said.result(STUCK).position
                assert confirmed > self.real.datasets.all()[-1].position

    def _half(self, half: str, name: str, first: str, work: Callable[[Job], Any]) -> None:
        if half == first:
            self.jobs[name] = Job(work)
        else:
            self.jobs.pop(name).finish()

    def _halfway(self, job: Job, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that stops before it is called, and notes when it refuses."""

        def call(*args: Any, **more: Any) -> Any:
            job.stop()
            try:
                return method(*args, **more)
            except ConflictError as error:
                self.refused.append(type(error).__name__)
                raise

        return call

    def _load(self, version: str) -> None:
        assert self.provider.load(version) == self.allowed(), "a reader yields a forbidden row"

    # --- a reader -------------------------------------------------------------------------------

    def _tick(self) -> None:
        self.ticks += 1

    def _reader(self, act: str, _: str = "") -> None:
        if act == "asks":
            self.jobs["reader"] = Job(self._open_reader)
        elif act == "is answered":
            self._data: Data = self.jobs.pop("reader").finish()
        else:
            self._read_on()

    def _server(self, *_: str) -> None:
        self.jobs["reader"].go_on()

    def _open_reader(self, job: Job) -> Data:
        """Open a dataset: stops when the request is sent, and when the answer is on its way."""
        asked: list[Any] = []

        def renew(reader: Any) -> None:
            if asked:  # in a trace a renewal is a step of its own
                raise StorageError("nobody answers")
            asked.append(reader)
            job.stop()
            self.ports.readers.renew(reader)

        def vectors(files: Any) -> Any:
            found = self.ports.files.vectors(files)
            job.stop()
            return found

        ports = replace(
            self.ports,
            readers=Through(self.ports.readers, renew=renew),
            files=Through(self.ports.files, vectors=vectors),
        )
        options = Options(("id",), 1, LEASE)
        return Data(ports, DatasetRef("chat", 1), options, self.clock)

    def _read_on(self) -> None:
        with self._data as data:
            try:
                yielded = [i for batch in data.batches() for i in batch.column("id").to_pylist()]
            except LeaseExpired:
                yielded = []
                self.refused.append("LeaseExpired")
        assert yielded == self.allowed(), "an open reader yields a forbidden row"

    # --- the promises ---------------------------------------------------------------------------

    def allowed(self) -> list[str]:
        """Return the rows of everybody whom nothing was ever said against."""
        return [row for row, who in self.rows.items() if who not in self.spoken_against]

    def check(self) -> None:
        """Assert what holds at every moment, without changing anything."""
        files = {file.no: file for file in self.real.files.files()}
        for no, vector in self.real.files.vectors(files).items():
            assert vector is not None
            decided = self._decided(files[no], vector.applied)
            assert _set(vector.bits) == decided, "incremental is not full"
        for dataset in self.real.datasets.all():
            manifest = dataset.manifest
            out = sum(len(self._decided(files[f.no], dataset.position)) for f in manifest.files)
            admitted = sum(f.rows for f in manifest.files) - out
            assert manifest.admitted == admitted, "I1: a commit counts a row that was withdrawn"
        for who, position in self.confirmed.items():
            assert position <= self.real.ledger.head(), "a confirmed opt-out is lost"
            assert who == "acme" or not self.provider.status(who).allowed, "confirmed, and on"

    def check_at_the_end(self) -> None:
        """Assert that every version yields what is allowed, to readers opened now."""
        for dataset in self.real.datasets.all():
            loaded = self.provider.load(str(dataset.ref))
            assert loaded == self.allowed(), "a reader yields a forbidden row"
            assert loaded == self.provider.decided(str(dataset.ref))
        self.check()

    def _decided(self, file: Any, position: Any) -> set[int]:
        """Decide every row of a file as of a position, from the entries alone."""
        bits = self.real.lake.decide(file, self.real.ledger.standings_at(position))
        return _set(sealing.with_deleted(self.real, file, bits, position))


def _set(bits: Any) -> set[int]:
    return set(withheld(bits) or ())


def _sha256(document: str) -> str:
    return hashlib.sha256(document.encode()).hexdigest()

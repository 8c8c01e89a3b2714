"""The real adapters with one thing done wrong, one for each trace that is replayed.

They show that the driver's assertions see what they are there for. Each gets between the services and a
real port (`job.Through`), or between the provider and the services, and changes as little as it can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from withhold.domain.directory import OPEN, Membership
from withhold.domain.fence import Raised
from withhold.domain.interactions import IdState
from withhold.domain.tokens import position_of
from withhold.domain.values import changed
from withhold.domain.vectors import ConsentVector
from withhold.errors import FenceClosed

from .breaks import Break
from .driver import Driver
from .job import Through


def _with(driver: Driver, **ports: object) -> None:
    driver.provider.ports = replace(driver.ports, **ports)  # type: ignore[arg-type]


def tokens_are_ignored(driver: Driver) -> None:
    send = driver.provider.send
    driver.provider.send = lambda *rows: send(  # type: ignore[method-assign]
        *(row._replace(token=None) for row in rows)
    )


def _with_intake(driver: Driver, **wrong: Callable[..., Any]) -> None:
    intake = driver.ports.intake

    @contextmanager
    def transaction() -> Iterator[object]:
        with intake.transaction() as kept_rows:
            bound = {name: (lambda *a, f=f: f(kept_rows, *a)) for name, f in wrong.items()}
            yield Through(kept_rows, **bound)

    _with(driver, intake=Through(intake, transaction=transaction))


def documents_are_as_new_as_their_use(driver: Driver) -> None:
    def documents(real: Any, hashes: Any) -> Any:
        head = driver.real.ledger.head()
        return {h: p._replace(position=head) for h, p in real.documents(hashes).items()}

    _with_intake(driver, documents=documents)


def refused_ids_are_forgotten(driver: Driver) -> None:
    def put_ids(real: Any, product: Any, known: Any) -> None:
        stored = {i: k for i, k in known.items() if k.state is not IdState.REFUSED}
        real.put_ids(product, stored)

    _with_intake(driver, put_ids=put_ids)


def _with_memberships(driver: Driver, counts: Callable[[Membership], bool]) -> None:
    ledger = driver.ports.ledger

    @contextmanager
    def directory() -> Iterator[object]:
        with ledger.directory() as real:

            def subject(no: Any) -> Any:
                found = real.subject(no)
                return changed(found, memberships=tuple(filter(counts, found.memberships)))

            yield Through(real, subject=subject)

    _with(driver, ledger=Through(ledger, directory=directory))


def organizations_are_those_at_the_token(driver: Driver) -> None:
    def counts(membership: Membership) -> bool:
        key = driver.real.ledger.token_key()
        return membership.since <= position_of(key, driver.tokens["r1"])

    _with_memberships(driver, counts)


def organizations_are_those_at_the_arrival(driver: Driver) -> None:
    _with_memberships(driver, lambda membership: membership.until == OPEN)


def a_lock_is_a_default(driver: Driver) -> None:
    adopt = driver.provider.adopt
    driver.provider.adopt = lambda product, plan, **_: adopt(  # type: ignore[method-assign]
        product, plan, default_on=False
    )


def an_unknown_account_is_opened(driver: Driver) -> None:
    send, sign_up = driver.provider.send, driver.provider.sign_up

    def opened(*rows: Any) -> Any:
        for row in rows:
            sign_up(row.account)
        return send(*rows)

    driver.provider.send = opened  # type: ignore[method-assign]


def a_second_opening_counts(driver: Driver) -> None:
    sign_up = driver.provider.sign_up

    def again(who: str, *, opens: str) -> None:
        sign_up(who, opens=opens)
        if opens == "on" and who in driver.people:
            driver.provider.opt_in(who)

    driver.provider.sign_up = again  # type: ignore[method-assign]


def the_fence_is_skipped(driver: Driver) -> None:
    real = driver.ports.datasets

    def commit(manifest: Any, concerns: Any, at: int) -> Any:
        return real.commit(manifest, lambda _: False, at)

    _with(driver, datasets=Through(real, commit=commit))


def the_fence_asks_who_is_out_now(driver: Driver) -> None:
    real = driver.ports.datasets

    def commit(manifest: Any, concerns: Any, at: int) -> Any:
        now = driver.real.ledger.standings().values
        return real.commit(manifest, lambda w: now[w.party] == 0 and concerns(w), at)

    _with(driver, datasets=Through(real, commit=commit))


def the_fence_is_checked_before_the_commit(driver: Driver) -> None:
    real = driver.ports.datasets

    def commit(manifest: Any, concerns: Any, at: int) -> Any:
        head = driver.real.ledger.head()
        since = driver.real.files.withdrawals(manifest.cutoff, head).parties
        if any(map(concerns, [Raised(head, party) for party in since.tolist()])):
            raise FenceClosed("withdrawn from since", positions=(head,))
        return real.commit(manifest, lambda _: False, at)

    _with(driver, datasets=Through(real, commit=commit))


def the_cursor_moves_before_the_bits(driver: Driver) -> None:
    real = driver.ports.files

    def apply(after: Any, to: Any, added: Any, *, last: Any) -> None:
        real.apply(after, to, {}, last=last)
        real.apply(to, to, dict(added.items()), last=last)

    _with(driver, files=Through(real, apply=apply))


def the_last_applier_wins(driver: Driver) -> None:
    """Appliers put back the vectors that they had read, below the ports, and add to those."""
    real, control = driver.ports.files, driver.real.files._control  # type: ignore[attr-defined]
    read: dict[int, dict[str, list[tuple[Any, ...]]]] = {}

    def withdrawals(after: Any, to: Any) -> Any:
        with control.read() as connection:
            read[to] = {
                table: list(connection.execute(f"SELECT * FROM {table}"))
                for table in ("vectors", "growth")
            }
        return real.withdrawals(after, to)

    def apply(after: Any, to: Any, added: Any, *, last: Any) -> None:
        def put_back(connection: Any) -> None:
            for table, rows in read[to].items():
                connection.execute(f"DELETE FROM {table}")
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)

        control.run(put_back)
        cursor = real.cursor()
        real.apply(cursor, max(cursor, to), added, last=last)

    _with(driver, files=Through(real, withdrawals=withdrawals, apply=apply))


def a_file_is_registered_as_if_decided_at_the_cursor(driver: Driver) -> None:
    real = driver.ports.files

    def register(file: Any, vector: ConsentVector) -> Any:
        applied = max(vector.applied, real.cursor())
        return real.register(file, ConsentVector(applied, vector.bits))

    _with(driver, files=Through(real, register=register))


def the_vectors_claim_the_head(driver: Driver) -> None:
    real = driver.ports.files

    def vectors(files: Any) -> Any:
        head = driver.real.ledger.head()
        return {no: ConsentVector(head, v.bits) for no, v in real.vectors(files).items()}

    _with(driver, files=Through(real, cursor=driver.real.ledger.head, vectors=vectors))


def the_clock_stands_still_while_a_reader_waits(driver: Driver) -> None:
    driver.clock = lambda: 0.0  # the ticks of these traces pass while the answer is on its way


def an_opt_out_is_confirmed_and_lost(driver: Driver) -> None:
    append = driver.ports.ledger.append

    class _LostError(Exception):
        pass

    def lost(change: Callable[[Any], Any]) -> Any:
        answers: list[Any] = []

        def undone(transaction: Any) -> None:
            answers.append(change(transaction))
            if "ana" in driver.spoken_against:
                raise _LostError

        with suppress(_LostError):
            append(undone)
        return answers[0]

    _with(driver, ledger=Through(driver.ports.ledger, append=lost))


LOADED = "a reader yields a forbidden row"
READ_ON = "an open reader yields a forbidden row"
COUNTED = "I1: a commit counts a row that was withdrawn"
APPLIED = "incremental is not full"
LOST = "a confirmed opt-out is lost"

WRONGS: dict[Break, tuple[Callable[[Driver], None], str]] = {
    Break.STAMP_BY_ARRIVAL: (tokens_are_ignored, LOADED),
    Break.STAMP_BY_CLAIM: (tokens_are_ignored, LOADED),
    Break.OWN_TIME_ONLY: (documents_are_as_new_as_their_use, LOADED),
    Break.PARTIES_AT_TOKEN: (organizations_are_those_at_the_token, LOADED),
    Break.PARTIES_AT_ARRIVAL: (organizations_are_those_at_the_arrival, LOADED),
    Break.LOCK_ESCAPED: (a_lock_is_a_default, LOADED),
    Break.LATE_BASELINE: (an_unknown_account_is_opened, LOADED),
    Break.SECOND_BASELINE: (a_second_opening_counts, LOADED),
    Break.TOKENLESS_RETRY: (refused_ids_are_forgotten, LOADED),
    Break.SNAPSHOT_FILTER: (the_fence_is_skipped, COUNTED),
    Break.CURRENT_STATE: (the_fence_asks_who_is_out_now, COUNTED),
    Break.CHECK_THEN_COMMIT: (the_fence_is_checked_before_the_commit, COUNTED),
    Break.POSITION_BEFORE_BITS: (the_cursor_moves_before_the_bits, APPLIED),
    Break.LAST_APPLIER_WINS: (the_last_applier_wins, APPLIED),
    Break.SEAL_BEHIND_CURSOR: (a_file_is_registered_as_if_decided_at_the_cursor, APPLIED),
    Break.LEASE_FROM_ANSWER: (the_clock_stands_still_while_a_reader_waits, READ_ON),
    Break.LEASE_AHEAD_OF_VECTORS: (the_vectors_claim_the_head, READ_ON),
    Break.CONFIRM_BEFORE_APPEND: (an_opt_out_is_confirmed_and_lost, LOST),
}
"""What does each broken variant's wrong to a walk, and what the driver must then say."""

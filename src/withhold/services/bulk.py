"""Changes of many subjects, a chunk at a time, so that nobody else waits for all of them.

Each chunk is one transaction. More than one chunk is checked as a whole before the first is recorded, so
that a wrong request refuses all of them. What can still stop it midway (a disk, a policy adopted
meanwhile) leaves the chunks before it recorded, and the same requests again complete it: every change
here says what is so, and saying that twice is saying it once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from withhold.domain.directory import Directory
from withhold.ports import Ledger, Transaction

Request = TypeVar("Request")
T = TypeVar("T")

CHUNK = 2_000
"""Subjects in one transaction: about a tenth of a second for whoever waits."""


def append_all(
    ledger: Ledger,
    requests: Sequence[Request],
    check: Callable[[Directory, Request], object],
    change: Callable[[Transaction, Request], T],
) -> list[T]:
    """Make a change for each request; return once all of them are durable.

    Args:
        ledger: where they are recorded.
        requests: in order.
        check: raises when a request is not valid; it changes nothing.
        change: makes the change of one request.

    Raises:
        WithholdError: what `check` or `change` raised; nothing was recorded if it was `check`, or if
            the requests fit into one chunk.
    """
    if len(requests) > CHUNK:
        with ledger.directory() as directory:
            for request in requests:
                check(directory, request)
    done: list[T] = []
    for start in range(0, len(requests), CHUNK):
        done += ledger.append(partial(_each, change, requests[start : start + CHUNK]))
    return done


def _each(
    change: Callable[[Transaction, Request], T],
    requests: Sequence[Request],
    transaction: Transaction,
) -> list[T]:
    return [change(transaction, request) for request in requests]

"""Processes that write one home by turns, with refusals and accidents between, make one history.

What a process remembers of the ledger must be worth nothing once another may have written. The same acts
are done by one ledger in memory, which remembers nothing of the kind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from tests.services.conftest import ROOT
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, ProductId
from withhold.domain.tiles import WIDTH
from withhold.errors import LockedByPlan, StorageError, WithholdError
from withhold.ports import Ports, Transaction
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

VIBE = ProductId("vibe")
PEOPLE = ("ana", "bo", "cy")
_FREE = 'default_on = true\nlocked = false\nheld_by = "account"\n'
FREE_IS_OFF = POLICY.replace(_FREE, _FREE.replace("true", "false") + 'reason = "Off."\n', 1)
Act = tuple[str, str]

acts = st.lists(
    st.tuples(
        st.sampled_from("ab"),  # which process
        st.one_of(
            st.tuples(
                st.sampled_from(("open", "out", "in", "again", "fail")), st.sampled_from(PEOPLE)
            ),
            st.tuples(st.sampled_from(("adopt", "read", "empty")), st.sampled_from(("", "off"))),
        ),
    ),
    max_size=24,
)


class Process:
    """A ledger with its log over the files of a home, as a process has them open."""

    def __init__(
        self, folder: Path, kind: type[Control] = Control, log: type[SqliteLog] = SqliteLog
    ) -> None:
        self.control = kind(folder / "control.db")
        self.keys = SubjectKeys(folder / "keys.db")
        self.ledger = SqliteLedger(self.control, self.keys)
        self.log = log(self.control, LogKeys(self.keys))
        self.ports = ports_over(self.ledger)

    def close(self) -> None:
        self.control.close()
        self.keys.close()


@contextmanager
def processes(
    kind: type[Control] = Control, log: type[SqliteLog] = SqliteLog
) -> Iterator[dict[str, Process]]:
    """Open two processes on a new home with a policy."""
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, ExitStack() as stack:
        opened = {name: Process(Path(folder), kind, log) for name in "ab"}
        for each in opened.values():
            stack.callback(each.close)
        policies.adopt(opened["a"].ports, POLICY)
        yield opened


def turn(ports: Ports, who: str, *, allowed: bool, key: str | None = None) -> object:
    request = PreferenceRequest(SubjectKind.ACCOUNT, who, VIBE, allowed, idempotency_key=key)
    status = preferences.set_preference(ports, request)
    return status.allowed, status.source, status.position


def fail(ports: Ports, who: str) -> object:
    """Write something and then give it up."""

    def change(transaction: Transaction) -> None:
        subject = transaction.find(SubjectKind.ACCOUNT, who)
        transaction.remember(f"given up {who}", preferences.Remembered(b"", transaction.head))
        raise LockedByPlan(f"given up at {transaction.head}, {subject is None}")

    return ports.ledger.append(change)


def act(ports: Ports, verb: str, who: str) -> object:
    """Do something; return what is answered, an error by its words."""
    verbs: dict[str, Callable[[], object]] = {
        "open": lambda: [
            s.last for s in directory.put_accounts(ports, [AccountRequest(AccountId(who))])
        ],
        "out": lambda: turn(ports, who, allowed=False),
        "in": lambda: turn(ports, who, allowed=True),
        "again": lambda: turn(ports, who, allowed=False, key=f"key of {who}"),
        "fail": lambda: fail(ports, who),
        "adopt": lambda: policies.adopt(ports, FREE_IS_OFF if who else POLICY) and None,
        "read": lambda: [told(ports, each) for each in PEOPLE],
    }
    try:
        return verbs[verb]()
    except StorageError:
        raise
    except WithholdError as error:
        return str(error)


def told(ports: Ports, who: str) -> object:
    try:
        status = preferences.status(ports, SubjectKind.ACCOUNT, who, VIBE)
    except WithholdError as error:
        return str(error)
    return status.allowed, status.source, status.position


def check_one_history(
    found: dict[str, Process], doings: list[tuple[str, Act]], others: int = 0
) -> None:
    """Do the acts in these processes and in memory; everything must be the same in both.

    Args:
        found: the processes.
        doings: which of them does what.
        others: accounts that are opened first, to come near the end of a tile.
    """
    model = ports_over(MemoryLedger())
    policies.adopt(model, POLICY)
    for ports in (model, found["a"].ports):
        directory.put_accounts(ports, [AccountRequest(AccountId(f"o{n}")) for n in range(others)])
    for name, (verb, who) in doings:
        if verb == "empty":  # the log of the database starts anew
            found[name].control.truncate_log()
            continue
        assert act(found[name].ports, verb, who) == act(model, verb, who), (name, verb, who)
    for each in found.values():
        assert act(each.ports, "read", "") == act(model, "read", "")
        assert each.ledger.head() == model.ledger.head()
        assert each.ledger.verify() == each.log.verify() == each.ledger.head()
    assert found["a"].log.checkpoint() == found["b"].log.checkpoint()
    act(found["a"].ports, "open", "zoe")
    full = (
        found["b"].ledger.head() - 1
    ) // WIDTH  # those of the last commit are kept with the next
    with found["a"].control.read() as connection:
        kept = list(connection.execute("SELECT level, number FROM tiles ORDER BY 1, 2"))
    assert kept == [(0, number) for number in range(full)]


@given(doings=acts, others=st.sampled_from((0, WIDTH - 8, 2 * WIDTH - 4)))
@settings(max_examples=60, deadline=None)
def test_two_processes_in_any_order_make_one_history(
    doings: list[tuple[str, Act]], others: int
) -> None:
    with processes() as found:
        check_one_history(found, doings, others)


class Trusting(Control):
    """A control database that believes what it saw before, whoever wrote since: the broken variant."""

    @property
    def memory(self) -> object:
        return self._memory[1]


@pytest.mark.parametrize(
    "doings",
    [
        [("a", ("open", "ana")), ("b", ("open", "bo")), ("a", ("open", "cy"))],
        [("a", ("open", "ana")), ("b", ("out", "ana")), ("a", ("in", "ana"))],
        [("a", ("open", "ana")), ("b", ("adopt", "off")), ("a", ("in", "ana"))],
    ],
)
def test_a_process_that_trusts_its_memory_is_found_and_breaks_nothing(
    doings: list[tuple[str, Act]],
) -> None:
    with processes(Trusting) as found:
        with pytest.raises((AssertionError, StorageError)):
            check_one_history(found, doings)
        head = found["b"].ledger.head()
        assert found["b"].ledger.verify() == head, "a position was given twice"
    with processes() as found:
        check_one_history(found, doings)


class Forgetful(SqliteLog):
    """A log that thinks of a full tile only within the commit that filled it: the broken variant."""

    def after_commit(self, made: Any) -> None:
        super().after_commit(made._replace(full=()))


def test_a_log_that_forgets_full_tiles_is_found() -> None:
    doings = [("a", ("open", "ana")), ("a", ("fail", "ana")), ("b", ("open", "bo"))]
    with processes(log=Forgetful) as found, pytest.raises(AssertionError):
        check_one_history(found, [("a", ("open", "ana")), ("a", ("open", "bo"))], WIDTH - 2)
    with processes() as found:
        check_one_history(found, doings, WIDTH - 2)

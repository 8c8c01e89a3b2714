"""A program whose main thread is interrupted again and again while it turns switches (`test_interrupts`).

    python -m tests.faults.interrupted FOLDER TURNS SEED [crowd] [careless]

An alarm comes after a time by chance, often in the middle of a turn. With ``crowd`` another thread turns
switches too, and some turns are submitted. With ``careless`` nobody looks after the others when they are
interrupted. Prints one JSON document of counts, and ends with 1 when nobody can append any more.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path

import withhold
from withhold.adapters.clock import SystemClock
from withhold.adapters.store.sqlite.control import Control
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.adapters.store.sqlite.ledger import SqliteLedger
from withhold.adapters.store.sqlite.log import SqliteLog
from withhold.adapters.store.sqlite.log_keys import LogKeys
from withhold.adapters.store.sqlite.writers import Writers
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, Position, ProductId
from withhold.errors import StateUnknown, StorageError
from withhold.ports import Ports
from withhold.services import directory, policies, preferences
from withhold.services.directory import AccountRequest
from withhold.services.preferences import PreferenceRequest

POLICY = Path(withhold.__file__).parent / "policies" / "default.toml"
VIBE = ProductId("vibe")
LONGEST_SECONDS = 0.002  # until the alarm; a turn takes some 0.3 ms
STUCK_SECONDS = 5


class Alarm(KeyboardInterrupt):
    """What the alarm raises, as Ctrl-C would."""


class Alarms:
    """One alarm for each turn, or none when the turn was shorter."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._is_set = False
        signal.signal(signal.SIGALRM, self._ring)

    def _ring(self, *_: object) -> None:
        if self._is_set:
            self._is_set = False
            raise Alarm

    def set(self) -> None:
        self._is_set = True
        seconds = (
            self._chance.choice((LONGEST_SECONDS, LONGEST_SECONDS / 8)) * self._chance.random()
        )
        signal.setitimer(signal.ITIMER_REAL, seconds + 1e-6)

    def stop(self) -> None:
        self._is_set = False
        signal.setitimer(signal.ITIMER_REAL, 0)


def opened(folder: Path) -> Ports:
    """Open a ledger with two accounts, every commit of which is signed."""
    control, keys = Control(folder / "control.db"), SubjectKeys(folder / "keys.db")
    unused = dict.fromkeys(Ports.__dataclass_fields__)
    made = {"ledger": SqliteLedger(control, keys), "log": SqliteLog(control, LogKeys(keys))}
    ports = Ports(**{**unused, **made, "clock": SystemClock()})  # type: ignore[arg-type]
    policies.adopt(ports, POLICY.read_text(encoding="utf-8"))
    directory.put_accounts(ports, [AccountRequest(AccountId(name)) for name in ("ana", "ben")])
    return ports


def turn(ports: Ports, name: str, *, allowed: bool) -> int:
    request = PreferenceRequest(SubjectKind.ACCOUNT, name, VIBE, allowed)
    return preferences.set_preference(ports, request).position


def submit(ports: Ports, *, allowed: bool) -> None:
    request = PreferenceRequest(SubjectKind.ACCOUNT, "ben", VIBE, allowed)
    ports.ledger.submit(preferences.turning(ports, request), lambda _: None)


def crowd(ports: Ports, is_over: threading.Event) -> None:
    allowed = False
    while not is_over.is_set():
        with suppress(StateUnknown, StorageError):  # whoever led was interrupted
            turn(ports, "ben", allowed=allowed)
        submit(ports, allowed=not allowed)
        allowed = not allowed


def interrupted(ports: Ports, alarms: Alarms, *, allowed: bool, is_submitted: bool) -> str:
    """Turn ana's switch under an alarm; return what came of it."""
    before, position = ports.ledger.head(), None
    try:
        try:
            alarms.set()
            if is_submitted:
                submit(ports, allowed=allowed)
            else:
                position = turn(ports, "ana", allowed=allowed)
        finally:
            alarms.stop()
    except Alarm:
        return "interrupted"
    except StateUnknown:
        return "unknown"
    except StorageError:
        return "refused"
    if position is not None and position > before:
        assert ports.ledger.record(Position(position)) is not None, "told, and not there"
    return "done"


def goes_on(ports: Ports) -> bool:
    """Return whether another thread can still append."""
    done = threading.Event()

    def look() -> None:
        ports.ledger.append(lambda transaction: transaction.head)
        done.set()

    threading.Thread(target=look, daemon=True).start()
    return done.wait(STUCK_SECONDS)


def main(folder: Path, turns: int, seed: int, *, is_crowded: bool) -> int:
    ports, alarms, is_over = opened(folder), Alarms(seed), threading.Event()
    others = threading.Thread(target=crowd, args=(ports, is_over), daemon=True)
    if is_crowded:
        others.start()
    found: Counter[str] = Counter()
    for number in range(turns):
        is_submitted = is_crowded and number % 3 == 0
        found[interrupted(ports, alarms, allowed=bool(number % 2), is_submitted=is_submitted)] += 1
        if not goes_on(ports):
            sys.stderr.write(f"turn {number}: nobody can append any more\n")
            return 1
    is_over.set()
    if is_crowded:
        others.join(STUCK_SECONDS)
    assert goes_on(ports), "what was submitted is done before this"
    verified = ports.ledger.verify()
    assert ports.log.verify() == verified
    sys.stdout.write(json.dumps({"entries": verified, **found}))
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    if "careless" in words:
        Writers._abandon = lambda *_: None  # type: ignore[method-assign]
    sys.exit(main(Path(words[0]), int(words[1]), int(words[2]), is_crowded="crowd" in words))

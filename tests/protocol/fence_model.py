"""Model of consent vectors and the fence: appliers, sealing, compaction and a build, interleaved.

Ana's row r1 and ben's row r2 lie in one file from the start; ana's row r3 may come later and be sealed
into a second file. Two appliers, a sealer, a compactor and a builder each read in one step and write in
another, so that anything may happen in between; a crash forgets what they had read.

**The protocol** is design section 4: a file's vector is its withheld bits and the position they are
applied to; files without a withdrawn party follow one lake-wide cursor. Readers take *selected minus
withheld at the head*, which is the bits and whatever the entries after the applied position withdrew.

**The truth** is the list of entries, read from the beginning. The promises:

- I1: a committed dataset selected no row of a party that was out at any position from the row's on to
  the commit;
- incremental equals full: what a reader takes for withheld is what the entries say, in every file (so
  withheld only grows, as what the entries say does).

Not here: how rows get their position and parties (`standing_model`), leases (`lease_model`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .breaks import Break
from .search import Step, Trace

OUT = 99
OWNER = {"r1": "ana", "r2": "ben", "r3": "ana"}
Rows = frozenset[str]
NOTHING: Rows = frozenset()


class File(NamedTuple):
    """A lake file with its consent vector."""

    rows: Rows
    bits: Rows  # withheld rows
    applied: int  # every withdrawal up to this position is in the bits


class Applying(NamedTuple):
    """What an applier read: the cursor, the head, and the files with their vectors."""

    after: int
    to: int
    files: tuple[File, ...]
    cursor_moved: bool = False  # only where the position moves before the bits


class Building(NamedTuple):
    """What a build decided, and up to which position."""

    cutoff: int
    selected: Rows
    checked: bool = False  # only where the check is a step of its own


class State(NamedTuple):
    """The ledger, the lake, and what each worker holds in memory."""

    entries: tuple[tuple[str, str], ...] = ()  # (verb, account); position p is entries[p - 1]
    cursor: int = 0
    files: tuple[File, ...] = (File(frozenset({"r1", "r2"}), NOTHING, 0),)
    r3: int | None = None  # the position of r3 once it is stored
    appliers: tuple[Applying | None, Applying | None] = (None, None)
    sealing: tuple[int, Rows] | None = None  # (decided at, withheld)
    compacting: tuple[File, ...] | None = None
    building: Building | None = None
    dataset: tuple[int, Rows] | None = None  # (commit position, selected)


@dataclass(frozen=True)
class FenceWorld:
    """The bounds of one search: who works, and how many entries the ledger may get."""

    name: str
    workers: frozenset[str]
    entries: int


class FenceModel:
    """The sound protocol, or a variant of it with something done wrong."""

    start = State()
    preamble: Trace = (
        ("sign_up", "ana", "on"),
        ("sign_up", "ben", "on"),
        ("chat", "r1", "ana", "tokenless"),
        ("chat", "r2", "ben", "tokenless"),
        ("seal", "decides"),
        ("seal", "registers"),
    )

    def __init__(self, world: FenceWorld, broken: frozenset[Break] = frozenset()) -> None:
        self.world = world
        self.broken = broken

    # --- what can happen ---------------------------------------------------------------------------

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield every act of people and workers, with the state it leaves."""
        yield from self._choices(state)
        if "apply" in self.world.workers:
            yield from self._applies(state, 0, "first")
            yield from self._applies(state, 1, "second")
        if "seal" in self.world.workers:
            yield from self._seals(state)
        if "compact" in self.world.workers:
            yield from self._compacts(state)
        if "build" in self.world.workers:
            yield from self._builds(state)
        idle = (None, None)
        yield (
            ("crash",),
            state._replace(appliers=idle, sealing=None, compacting=None, building=None),
        )

    def _choices(self, state: State) -> Iterator[tuple[Step, State]]:
        if len(state.entries) >= self.world.entries:
            return
        for account in ("ana", "ben"):
            out = _on_since(state.entries, account) == OUT
            entry = ("opt_in" if out else "opt_out", account)
            yield entry, state._replace(entries=(*state.entries, entry))

    def _applies(self, state: State, who: int, name: str) -> Iterator[tuple[Step, State]]:
        """Yield the next step of an applier: read; then write bits and position together."""
        holds, head = state.appliers[who], len(state.entries)
        if holds is None:
            if state.cursor < head:
                read = Applying(state.cursor, head, state.files)
                yield ("apply", name, "reads"), _with_applier(state, who, read)
            return
        done = _with_applier(state, who, None)
        bits_only = holds.cursor_moved
        same_lake = [file.rows for file in holds.files] == [file.rows for file in state.files]
        unchanged = holds.files == state.files and (bits_only or holds.after == state.cursor)
        if not same_lake or not (unchanged or Break.LAST_APPLIER_WINS in self.broken):
            yield ("apply", name, "gives up"), done
            return
        cursor = max(state.cursor, holds.to)
        if Break.POSITION_BEFORE_BITS in self.broken and not bits_only:
            moved = _with_applier(state, who, holds._replace(cursor_moved=True))
            yield ("apply", name, "moves the position"), moved._replace(cursor=cursor)
            return
        files = tuple(_applied(file, holds, state) for file in holds.files)
        yield ("apply", name, "writes"), done._replace(files=files, cursor=cursor)

    def _seals(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield the next step of r3 into the lake: stored; decided; registered with its file."""
        head = len(state.entries)
        if state.r3 is None:
            if _on_since(state.entries, "ana") != OUT:
                yield ("chat", "r3", "ana", "tokenless"), state._replace(r3=head)
        elif state.sealing is None:
            if not any("r3" in file.rows for file in state.files):
                withheld = _decided(state, frozenset({"r3"}), head)
                yield ("seal", "decides"), state._replace(sealing=(head, withheld))
        else:
            decided_at, withheld = state.sealing
            done = state._replace(sealing=None)
            if state.cursor > decided_at and Break.SEAL_BEHIND_CURSOR not in self.broken:
                # the cursor vouches for every file in the lake: what it has passed is decided again
                yield ("seal", "gives up"), done
            else:
                file = File(frozenset({"r3"}), withheld, decided_at)
                yield ("seal", "registers"), done._replace(files=(*state.files, file))

    def _compacts(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield the next step of merging all files into one."""
        inputs = state.compacting
        if inputs is None:
            read = tuple(file._replace(applied=_reached(file, state)) for file in state.files)
            yield ("compact", "reads"), state._replace(compacting=read)
            return
        done = state._replace(compacting=None)
        lowest = min(file.applied for file in inputs)
        if Break.COMPACTED_AT_HEAD in self.broken:
            lowest = len(state.entries)
        same_lake = [file.rows for file in inputs] == [file.rows for file in state.files]
        if not same_lake or state.cursor > lowest:
            yield ("compact", "gives up"), done
            return
        rows = NOTHING.union(*(file.rows for file in inputs))
        bits = NOTHING.union(*(file.bits for file in inputs))
        yield ("compact", "writes"), done._replace(files=(File(rows, bits, lowest),))

    def _builds(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield the next step of a build: decide at a cutoff; commit through the fence."""
        head, holds = len(state.entries), state.building
        if state.dataset is not None:
            return
        if holds is None:
            selected = NOTHING.union(*(file.rows - _withheld(file, state) for file in state.files))
            decided = state._replace(building=Building(head, selected))
            yield ("build", "chat", "decides"), decided
            return
        if not holds.checked and self._fence_is_closed(state, holds):
            yield ("build", "chat", "is refused"), state._replace(building=None)
        elif Break.CHECK_THEN_COMMIT in self.broken and not holds.checked:
            checked = holds._replace(checked=True)
            yield ("build", "chat", "checks"), state._replace(building=checked)
        else:
            dataset = (head + 1, holds.selected)
            yield ("build", "chat", "commits"), state._replace(building=None, dataset=dataset)

    def _fence_is_closed(self, state: State, holds: Building) -> bool:
        """Return whether the commit is refused, decided in the transaction that would append it."""
        if Break.SNAPSHOT_FILTER in self.broken:
            return False
        owners = {OWNER[row] for file in state.files for row in file.rows}
        if Break.CURRENT_STATE in self.broken:
            at_cutoff = state.entries[: holds.cutoff]
            return any(
                _on_since(state.entries, owner) == OUT != _on_since(at_cutoff, owner)
                for owner in owners
            )
        since = state.entries[holds.cutoff :]
        return any(account in owners for verb, account in since)

    # --- what must hold ------------------------------------------------------------------------------

    def violated(self, state: State) -> str | None:
        """Return a promise that does not hold in this state."""
        if state.dataset is not None:
            position, selected = state.dataset
            before = state.entries[: position - 1]
            if any(_is_forbidden(before, OWNER[row], _position(state, row)) for row in selected):
                return "I1"
        for file in state.files:
            for row in file.rows:
                forbidden = _is_forbidden(state.entries, OWNER[row], _position(state, row))
                if forbidden != (row in _withheld(file, state)):
                    return "incremental equals full"
        return None

    def shown_by(self, state: State) -> Trace:
        """Return the reading in which the row must not be."""
        if state.dataset is None:
            return (("build", "chat"), ("load", "chat@1"))
        return (("load", "chat@1"),)


def _with_applier(state: State, who: int, holds: Applying | None) -> State:
    first, second = state.appliers
    return state._replace(appliers=(holds, second) if who == 0 else (first, holds))


def _applied(file: File, holds: Applying, state: State) -> File:
    """Return the vector an applier writes: what it had read, and the withdrawals up to its head."""
    bits = file.bits | _decided(state, file.rows, holds.to)
    return file if bits == file.bits else File(file.rows, bits, holds.to)


def _reached(file: File, state: State) -> int:
    """Return up to which position a file's vector is known."""
    return max(file.applied, state.cursor)


def _withheld(file: File, state: State) -> Rows:
    """Return what a reader takes for withheld: the bits, and what later entries withdrew."""
    later = {account for verb, account in state.entries[_reached(file, state) :]}
    lagging = frozenset(row for row in file.rows if OWNER[row] in later)
    return file.bits | _decided(state, lagging, len(state.entries))


def _decided(state: State, rows: Rows, at: int) -> Rows:
    """Return the rows that are withheld by the standings at a position."""
    entries = state.entries[:at]
    return frozenset(row for row in rows if _on_since(entries, OWNER[row]) > _position(state, row))


def _position(state: State, row: str) -> int:
    return (state.r3 or 0) if row == "r3" else 0


def _on_since(entries: tuple[tuple[str, str], ...], account: str) -> int:
    """Return the standing of an account after these entries."""
    for position in range(len(entries), 0, -1):
        verb, who = entries[position - 1]
        if who == account:
            return OUT if verb == "opt_out" else position
    return 0


def _is_forbidden(entries: tuple[tuple[str, str], ...], account: str, made: int) -> bool:
    """Return whether an account was out at ``made`` or at any later position: the truth, by replay."""
    out = False
    for position in range(len(entries) + 1):
        if position and entries[position - 1][1] == account:
            out = entries[position - 1][0] == "opt_out"
        if out and position >= made:
            return True
    return False

"""A lake with parties and no people: rows are put into the log directly, standings changed by entries.

For tests of what happens between the log and a dataset. Whoever wants accounts, plans and captures uses
`tests.simulator`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import withhold
from tests.fakes.intake import MemoryIntake
from withhold.adapters.embedded import open_embedded
from withhold.domain.ledger import DeletedRow, Event, EventKind
from withhold.domain.names import Ordinal, PartyNo, Position, ProductId
from withhold.domain.parties import PartyKind
from withhold.domain.standing import Becomes, Effect
from withhold.domain.vectors import Bits, withheld
from withhold.ports import LakeFile, Ports, RowBatch, Transaction

VIBE = ProductId("vibe")
POLICY = (Path(withhold.__file__).parent / "policies" / "default.toml").read_text(encoding="utf-8")

Row = tuple[int, Sequence[int]]
"""A row's position and parties."""


def batch(first: int, rows: Sequence[Row], product: ProductId = VIBE) -> RowBatch:
    """Return rows as the log yields them."""
    sets = [tuple(sorted(set(parties))) for _, parties in rows]
    distinct = list(dict.fromkeys(sets))
    count = len(rows)
    return RowBatch(
        product=product,
        first=Ordinal(first),
        ids=[f"r{first + i}" for i in range(count)],
        kinds=[0] * count,
        conversations=[None if i % 3 == 0 else f"c{i % 5}" for i in range(first, first + count)],
        projects=[None] * count,
        api_keys=[None] * count,
        roles=[["user", "assistant"]] * count,
        contents=[[f"question {first + i}", f"answer {first + i}"] for i in range(count)],
        positions=[position for position, _ in rows],
        party_sets=[tuple(PartyNo(p) for p in s) for s in distinct],
        set_nos=[distinct.index(s) for s in sets],
    )


class World:
    """One home with the shipped policy's text and a number of parties that were never out."""

    def __init__(self, ports: Ports, parties: int) -> None:
        self.ports = ports
        ports.ledger._check_directory = lambda *_: None  # type: ignore[attr-defined]  # there is nobody in it
        kinds = list(PartyKind)

        def begin(ledger: Transaction) -> None:
            made = [ledger.new_party(kinds[i % len(kinds)], VIBE, None) for i in range(parties)]
            effects = tuple(Effect(p, Becomes.NEVER_OUT) for p in made)
            ledger.add(Event(EventKind.POLICY_ADOPTED, None, {}, 0, effects))
            ledger.adopted(POLICY)

        ports.ledger.append(begin)

    @property
    def head(self) -> Position:
        return self.ports.ledger.head()

    def change(self, *effects: tuple[int, Becomes]) -> Position:
        """Append one entry that changes standings."""
        event = Event(
            EventKind.POLICY_ADOPTED,
            None,
            {},
            0,
            tuple(Effect(PartyNo(p), becomes) for p, becomes in effects),
        )
        return self.ports.ledger.append(lambda ledger: ledger.add(event))

    def out(self, *parties: int) -> Position:
        return self.change(*((p, Becomes.OUT) for p in parties))

    def on(self, *parties: int) -> Position:
        return self.change(*((p, Becomes.ON) for p in parties))

    def delete(self, *ordinals: int) -> Position:
        deleted = tuple(DeletedRow(VIBE, Ordinal(o)) for o in ordinals)
        event = Event(EventKind.POLICY_ADOPTED, None, {}, 0, deleted=deleted)
        return self.ports.ledger.append(lambda ledger: ledger.add(event))

    def store(self, *rows: Row, product: ProductId = VIBE) -> None:
        """Put rows into the log; a row without a position of its own has the head's."""
        with self.ports.intake.transaction() as intake:
            intake.store(batch(intake.next_ordinal(product), rows, product))

    def store_now(self, *parties: Sequence[int]) -> None:
        """Put rows made at the head into the log, one for each set of parties."""
        head = self.head
        self.store(*((head, p) for p in parties))

    def files(self) -> Sequence[LakeFile]:
        return self.ports.files.files()

    def bits(self, file: LakeFile) -> Bits | None:
        vector = self.ports.files.vectors([file.no])[file.no]
        return None if vector is None else vector.bits

    def admitted(self) -> list[str]:
        """Return the ids that vectors admit, in order."""
        found: list[str] = []
        for file in self.files():
            bits = self.bits(file)
            if bits is None:
                continue
            out = set(withheld(bits) or ())
            ids = [
                i for b in self.ports.lake.batches(file, ["id"], 64) for i in b["id"].to_pylist()
            ]
            found += [i for row, i in enumerate(ids) if row not in out]
        return found


def as_sets(bits: Bits) -> dict[str, set[int]]:
    """Return bits as plain values, to compare."""
    return {reason.value: set(rows) for reason, rows in bits.items() if len(rows)}


@contextmanager
def world(
    home: Path, parties: int = 8, changed: Callable[[Ports], Ports] = lambda ports: ports
) -> Iterator[World]:
    """Open a world over the real adapters, with the log in memory."""
    with open_embedded(home) as ports:
        yield World(changed(replace(ports, intake=MemoryIntake())), parties)

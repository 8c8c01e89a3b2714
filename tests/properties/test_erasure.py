"""Any history, any erasures: every proof of the remaining verifies, and nobody erased comes back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.conftest import ROOT
from tests.simulator import Provider
from withhold.adapters.signing import verifies
from withhold.domain.checkpoints import Trust
from withhold.domain.names import AccountId, Position
from withhold.domain.proofs import check_proof
from withhold.domain.tree import leaf_hash
from withhold.errors import EntryErased, UnknownAccount
from withhold.ports import Record
from withhold.services import audit, erasure, log

PEOPLE = ("ana", "bob", "cleo", "dan")
person = st.sampled_from(PEOPLE)
acts = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("out", "in", "chat", "erase", "open")), person),
        st.tuples(st.sampled_from(("build", "crash", "key", "seal")), st.just("")),
        st.tuples(st.just("merge"), person),
    ),
    min_size=3,
    max_size=14,
)


class World:
    """A provider, and what was true before each erasure."""

    def __init__(self, folder: Path) -> None:
        self.provider = Provider(folder / "home")
        self.rows: dict[str, set[str]] = {each: set() for each in PEOPLE}
        self.gone: set[str] = set()
        self.kept: dict[int, Record] = {}
        self.sent = 0
        for each in PEOPLE:
            self.provider.sign_up(each)

    def act(self, verb: str, who: str) -> None:
        provider = self.provider
        verbs: dict[str, Callable[[], object]] = {
            "out": lambda: provider.opt_out(who),
            "in": lambda: provider.opt_in(who),
            "chat": lambda: self.chat(who),
            "erase": lambda: self.erase(who),
            "open": lambda: provider.sign_up(who),
            "merge": lambda: who == "ana" or provider.merge("ana", who),
            "build": lambda: provider.build("chat"),
            "crash": provider.crash,
            "seal": provider.seal,
            "key": lambda: log.replace_key(provider.ports),
        }
        try:
            verbs[verb]()
        except UnknownAccount:
            assert verb != "open"

    def erase(self, who: str) -> None:
        self.remember()
        erasure.erase(self.provider.ports, AccountId(who))
        self.gone |= self.rows[who]
        self.rows[who] = set()

    def chat(self, who: str) -> None:
        self.sent += 1
        if self.provider.chat(who, f"r{self.sent}").accepted:
            self.rows[who].add(f"r{self.sent}")

    def remember(self) -> None:
        """Keep every record that can be opened, as somebody with receipts would."""
        for position in range(1, self.provider.head + 1):
            try:
                record = self.provider.ports.ledger.record(Position(position))
            except EntryErased:
                continue
            assert record is not None
            self.kept[position] = record

    def check(self) -> None:
        ports = self.provider.ports
        assert ports.ledger.verify() == ports.log.verify() == ports.ledger.head()
        assert audit.audit(ports).faults == ()
        trust = Trust(ports.log.origin, ports.log.keys())
        for position, record in self.kept.items():
            proof = ports.log.proof(Position(position))
            check_proof(leaf_hash(record.entry), proof, trust, verifies)
        for dataset in ports.datasets.all():
            yielded = self.provider.load(str(dataset.ref))
            assert not self.gone & set(yielded)
            assert yielded == self.provider.decided(str(dataset.ref))


@given(doings=acts)
@settings(max_examples=25, deadline=None)
def test_all_proofs_of_the_remaining_verify_after_any_erasures(
    doings: list[tuple[str, str]],
) -> None:
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        world = World(Path(folder))
        for verb, who in doings:
            world.act(verb, who)
        world.remember()
        world.check()
        world.act("erase", "ana")
        world.provider.crash()
        world.act("build", "")
        world.check()
        world.provider.close()

"""The exhaustive model of the protocol: four small worlds, sound and broken.

Split in four, because each is small enough to be searched wholly and none reads what another decides:

- `standing_model`: capture tokens, documents, parties, moves, locks, defaults, openings;
- `fence_model`: vectors, the cursor, appliers, sealing, compaction, and the commit of a build;
- `lease_model`: open readers;
- `durability_model`: confirmation, crash, backup, witness, recovery.

`sound` yields the models that must keep every promise in every state, in bounds for the quick suite or
in larger ones. `broken` is the smallest world in which a broken variant shows itself; its shortest
counter-example is what `traces` keeps.

A bounded search proves nothing beyond its bounds; the property state machine goes further, at random.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from .breaks import Break
from .durability_model import DurabilityModel
from .fence_model import FenceModel, FenceWorld
from .lease_model import LeaseModel
from .search import Outcome, search
from .standing_model import StandingModel, World

_SAYS = frozenset({"opt_out", "opt_in", "token"})
DOCUMENTS = World("documents", _SAYS, entries=3, uses_document=True)
MOVES = World("moves", _SAYS | {"move"}, entries=4)
PLANS = World("plans", _SAYS | {"default", "lock"}, entries=3)
PLACES = World("places and plans", _SAYS | {"move", "default", "lock"}, entries=3)
OPENINGS = World("openings", _SAYS | {"sign_up"}, entries=4)

APPLYING = FenceWorld("appliers", frozenset({"apply"}), entries=3)
BUILDING = FenceWorld("appliers and a build", frozenset({"apply", "build"}), entries=3)
SEALING = FenceWorld("appliers, seal and build", frozenset({"apply", "seal", "build"}), entries=2)
COMPACTING = FenceWorld(
    "appliers, seal, compact", frozenset({"apply", "seal", "compact"}), entries=2
)
EVERYBODY = FenceWorld("everybody", frozenset({"apply", "seal", "compact", "build"}), entries=1)

SearchOnce = partial[Outcome]
"""A search that is ready to run."""

_QUICK: dict[str, SearchOnce] = {
    **{
        w.name: partial(search, StandingModel(w))
        for w in (DOCUMENTS, MOVES, PLANS, PLACES, OPENINGS)
    },
    **{w.name: partial(search, FenceModel(w)) for w in (BUILDING, SEALING, COMPACTING, EVERYBODY)},
    "lease": partial(search, LeaseModel(ticks=5)),
    "durability": partial(search, DurabilityModel(requests=4)),
}

_LARGE: dict[str, SearchOnce] = {
    **{
        world.name: partial(search, StandingModel(replace(world, entries=entries)))
        for world, entries in ((DOCUMENTS, 5), (MOVES, 5), (PLANS, 4), (PLACES, 4), (OPENINGS, 5))
    },
    **{
        world.name: partial(search, FenceModel(replace(world, entries=entries)))
        for world, entries in ((BUILDING, 4), (SEALING, 3), (COMPACTING, 3), (EVERYBODY, 2))
    },
    "lease": partial(search, LeaseModel(ticks=6)),
    "durability": partial(search, DurabilityModel(requests=5, restores=2)),
}

_WORLDS: dict[Break, World | FenceWorld] = {
    Break.STAMP_BY_ARRIVAL: MOVES,
    Break.STAMP_BY_CLAIM: MOVES,
    Break.OWN_TIME_ONLY: DOCUMENTS,
    Break.PARTIES_AT_TOKEN: MOVES,
    Break.PARTIES_AT_ARRIVAL: MOVES,
    Break.LOCK_ESCAPED: PLANS,
    Break.LATE_BASELINE: OPENINGS,
    Break.SECOND_BASELINE: OPENINGS,
    Break.TOKENLESS_RETRY: MOVES,
    Break.SNAPSHOT_FILTER: BUILDING,
    Break.CURRENT_STATE: BUILDING,
    Break.CHECK_THEN_COMMIT: BUILDING,
    Break.POSITION_BEFORE_BITS: APPLYING,
    Break.LAST_APPLIER_WINS: APPLYING,
    Break.SEAL_BEHIND_CURSOR: SEALING,
    Break.COMPACTED_AT_HEAD: COMPACTING,
}


def sound(*, large: bool) -> dict[str, SearchOnce]:
    """Return the searches of the sound protocol by the name of their world."""
    return _LARGE if large else _QUICK


def broken(fault: Break) -> Outcome:
    """Search the variant with one thing done wrong."""
    only = frozenset({fault})
    world = _WORLDS.get(fault)
    if isinstance(world, World):
        return search(StandingModel(world, only))
    if world is not None:
        return search(FenceModel(world, only))
    if fault in (Break.LEASE_FROM_ANSWER, Break.LEASE_AHEAD_OF_VECTORS):
        return search(LeaseModel(5, only))
    return search(DurabilityModel(4, only))

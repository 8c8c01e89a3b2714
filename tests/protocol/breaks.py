"""The ways to break the protocol, one switch each. The sound protocol has none set.

The list is the one of design section 1, with a few readings that the sections after it rule out (marked
"also"). The value of each is the sentence that is stored beside its trace.
"""

from __future__ import annotations

from enum import Enum


class Break(Enum):
    """One thing done wrong."""

    # capture, parties and standings: `standing_model`
    STAMP_BY_ARRIVAL = "A row is stamped with the head at its arrival, not with its token."
    STAMP_BY_CLAIM = "A row is stamped with an unsigned position that the client claims."
    OWN_TIME_ONLY = "A row keeps its own stamp although it uses a document from before an opt-out."
    PARTIES_AT_TOKEN = "Parties are resolved at the token only, so a later organisation is missed."
    PARTIES_AT_ARRIVAL = (
        "Parties are resolved at arrival only, so an earlier organisation is missed."
    )
    LOCK_ESCAPED = "An own choice escapes the plan's lock as it escapes the plan's default."
    LATE_BASELINE = (
        "A row of an unknown account is kept; opening it 'never out' later admits the row."
    )
    SECOND_BASELINE = "Also: an account that exists is attested 'never out' once more."
    TOKENLESS_RETRY = (
        "A refused id is forgotten, so a retry without token after an opt-in is stored."
    )

    # vectors, builds and the fence: `fence_model`
    SNAPSHOT_FILTER = "A build filters at a snapshot and commits without looking again."
    CURRENT_STATE = "The commit asks who is out now, and misses an opt-out followed by an opt-in."
    CHECK_THEN_COMMIT = "The fence is checked in one step and the dataset committed in a later one."
    POSITION_BEFORE_BITS = "The applied position moves in one write and the bits in a later one."
    LAST_APPLIER_WINS = "Two appliers replace one vector without comparing what they had read."
    SEAL_BEHIND_CURSOR = (
        "Also: a file decided before the lake-wide cursor moved is registered as it is."
    )
    COMPACTED_AT_HEAD = "A compacted file carries the head, not the lowest position of its inputs."

    # open readers: `lease_model`
    LEASE_FROM_ANSWER = "A lease is counted from the arrival of its answer, not from its request."
    LEASE_AHEAD_OF_VECTORS = "Also: a lease is granted while the vectors lag behind the head."

    # durability and recovery: `durability_model`
    CONFIRM_BEFORE_APPEND = "An opt-out is confirmed before its entry is durable."
    NO_WITNESS = "A ledger restored from a backup serves, as nothing outside knows its head."
    LAGGING_WITNESS = "Also: the witness learns of an entry only after it was confirmed."
    POSITION_REUSED = "Also: a recovered ledger gives out positions again that old tokens carry."


LATER = frozenset(
    {Break.COMPACTED_AT_HEAD, Break.NO_WITNESS, Break.LAGGING_WITNESS, Break.POSITION_REUSED}
)
"""Replayed once compaction, witnesses and recovery exist; the model holds them already."""

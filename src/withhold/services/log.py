"""The log that anyone can check: replacing its key.

Source: design section 6. Not here: growing and signing, which go with every commit (`ports.Log`).
"""

from __future__ import annotations

from withhold.domain.ledger import Event, EventKind
from withhold.domain.names import Position
from withhold.ports import Ports


def replace_key(ports: Ports) -> Position:
    """Let a new key sign the log, from the entry on that says so; return its position.

    The tree that ends with that entry is signed by both keys. Receipts and checkpoints of before stay
    valid: the old key may sign sizes up to that position.

    Raises:
        StorageError: the disk refused; the old key signs as before.
        StateUnknown: whether the entry was recorded is not known; `Log.keys` tells.
    """
    key = ports.log.new_key()
    event = Event(EventKind.LOG_KEY_REPLACED, None, {"key": key}, ports.clock.now_ms())
    return ports.ledger.append(lambda transaction: transaction.add(event))

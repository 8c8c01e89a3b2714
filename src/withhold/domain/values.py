"""Values of the path that every change takes: frozen, compared member by member, made in C.

A toggle makes a dozen of them. Such a value is made in a quarter of the time of a named tuple, its members
are read in two thirds of it, and it is equal to no tuple. Elsewhere a frozen dataclass serves
(docs/decisions/0009-append-without-a-thread.md).

Source: "value object". Not here: what the values mean.
"""

from __future__ import annotations

import msgspec

changed = msgspec.structs.replace
"""Return a value with some members changed."""


class Value(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """A value without identity. It must not lead back to itself: the garbage collector does not look at it.

    Encoded it is the list of its members, in their order.
    """

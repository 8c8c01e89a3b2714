"""Steps of checking: what `receipts` and `dataset_proofs` say of each thing they looked at, in order.

Not here: which steps there are, and taking them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NO_KEYS = "not checked: who signed"


class Step(NamedTuple):
    """One step of checking.

    Attributes:
        name: short and stable.
        said: what was found, for people.
        holds: True when it was checked and holds, False when it does not. None when it was not checked:
            this form of the file does not have it, or whose keys to believe was not said.
    """

    name: str
    said: str
    holds: bool | None = True


def before(names: Mapping[str, str], step: int, skipped: Mapping[str, str]) -> tuple[Step, ...]:
    """Return the steps before the one that failed.

    Args:
        names: of all steps, in order, with what holds when one does.
        step: the number of that one, from 1.
        skipped: those that were not checked, with what is said of it.
    """
    return tuple(
        Step(name, skipped.get(name, names[name]), None if name in skipped else True)
        for name in tuple(names)[: step - 1]
    )

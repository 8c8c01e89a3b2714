"""Steps of checking: what `receipts` and `dataset_proofs` say of each thing they looked at, in order.

Not here: which steps there are, and taking them.
"""

from __future__ import annotations

from typing import NamedTuple


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

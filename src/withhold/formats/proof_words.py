"""Proofs about datasets in plain words: the same on the command line and on the page that checks them.

Not here: checking (`domain.dataset_proofs`), the words of receipts (`receipt_words`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from withhold.domain.dataset_proofs import STEPS, claim

NOT_WORTH = (
    "That the tags are those of the people whose rows the version has: only an audit of the ledger does.",
    "That there are no versions elsewhere: this is about one version of this ledger.",
    "What became of the rows since: an opt-out takes them out of the version and changes no proof.",
)


def _sentence(said: str) -> str:
    return said[0].upper() + said[1:]  # a name in braces stays as it is


WORDS: Mapping[str, object] = {
    "claims": {
        json.dumps(present): _sentence(claim("{account}", "{dataset}", present))
        for present in (True, False, None)
    },
    "does_not": NOT_WORTH,
    "steps": [
        (f"{number} ({name})", f"{_sentence(said)}.")
        for number, (name, said) in enumerate(STEPS.items(), start=1)
        if name != "ledger"  # which a page does not have
    ],
}
"""The words for a page that checks by itself; names in braces are filled in there."""

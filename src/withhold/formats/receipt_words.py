"""Receipts in plain words: the same on the command line, on the printed page and in the PDF.

What is said is said of the facts of a statement, and what it proves and does not prove stands beside it.
Times are shown and decide nothing, and the words say so.

Not here: checking (`domain.receipts`), how it looks (`receipt_pdf`, `web.receipt_page`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from withhold.domain.receipts import Verified
from withhold.domain.statements import Facts, Form, utc

_PURPOSES = {"model_training": "training models", "service_improvement": "improving services"}
_BASES = {
    "consent": "consent (GDPR Article 6(1)(a))",
    "legitimate_interest": "legitimate interests (GDPR Article 6(1)(f)); an opt-out is an objection "
    "(Article 21)",
}
_DONE = {"opted_out": "turned off", "opted_in": "turned on"}

WORTH = (
    "That the provider confirmed this, and signed where it stands in its log. It cannot take that back, "
    "leave it out or change it without contradicting its own signature."
)
NOT_WORTH = (
    "That whoever shows this is who it names.",
    "What was chosen later: a newer entry may say otherwise.",
    "What became of copies and models that were made before it.",
    "When it happened, but by the provider's word: times decide nothing, the position does.",
)
REDACTED_WORTH = (
    "That the provider signed that this entry stands in its log and is somebody's choice of this kind, "
    "for this product."
)
REDACTED_NOT_WORTH = (
    "Whose choice it is. Whoever shows it need not be who it belongs to: only the full receipt shows that.",
    "That the entry is what the statement calls it, but by the provider's word: the record is not in here.",
    *NOT_WORTH[1:],
)


WORDS: Mapping[str, object] = {
    "purposes": _PURPOSES,
    "bases": _BASES,
    "done": _DONE,
    "full": {"proves": WORTH, "does_not": NOT_WORTH},
    "redacted": {"proves": REDACTED_WORTH, "does_not": REDACTED_NOT_WORTH},
}
"""The same words for a page that checks by itself."""


@dataclass(frozen=True, slots=True)
class Told:
    """A receipt, told to a person.

    Attributes:
        title: one sentence.
        lines: a name and what stands there, in order.
        proves: one sentence.
        does_not: what it does not prove.
    """

    title: str
    lines: tuple[tuple[str, str], ...]
    proves: str
    does_not: tuple[str, ...]


def told(found: Verified) -> Told:
    """Return a receipt in plain words."""
    facts, is_full = found.facts, found.facts.form == Form.FULL
    lines = (
        ("What", title(facts)),
        ("Whose", whose(facts)),
        (
            "Product",
            "" if facts.product is None else f"{facts.label or facts.product} ({facts.product})",
        ),
        ("Used for", _PURPOSES.get(facts.purpose or "", "")),
        ("Position", f"{facts.position:,}"),
        ("Log", facts.log),
        ("Requested", when(facts.requested_at)),
        ("Recorded", when(facts.recorded_at)),
        (
            "In effect",
            f"from position {facts.position:,} on, which was on disk before it was confirmed",
        ),
        ("Control", facts.surface or ""),
        ("Notice", f"version {facts.notice}" if facts.notice else ""),
        ("Policy", f"SHA-256 {facts.policy}"),
        ("Legal basis", _BASES.get(facts.basis or "", "")),
        ("Status", f"dpv:{facts.status}" if facts.status else ""),
        ("Proven in", f"the tree of {found.checkpoint.head.size:,} entries"),
        ("Signed with", found.key_id),
    )
    return Told(
        title(facts),
        tuple((name, value) for name, value in lines if value),
        WORTH if is_full else REDACTED_WORTH,
        NOT_WORTH if is_full else REDACTED_NOT_WORTH,
    )


def title(facts: Facts) -> str:
    """Return in one sentence what was confirmed."""
    done = _DONE.get(facts.kind)
    if done is None:
        return f"An entry was recorded: {facts.kind.replace('_', ' ')}"
    purpose = _PURPOSES.get(facts.purpose or "", "training")
    return f"The use of data for {purpose} was {done}: {facts.label or facts.product}"


def whose(facts: Facts) -> str:
    """Return whose entry it is, in words."""
    if facts.form != Form.FULL:
        return "not told in this form"
    if facts.subject is None:
        return "nobody's: a public entry"
    return f"{facts.holder} {facts.subject}" if facts.holder else facts.subject


def key_shown(key_id: str, keys: Iterable[str]) -> list[str]:
    """Return which of these verifier keys a key id names: one, or none."""
    return [key for key in keys if key.startswith(f"{key_id}+")]


def when(milliseconds: int | None) -> str:
    """Return a time in words, nothing for none."""
    if milliseconds is None:
        return ""
    return utc(milliseconds)[:19].replace("T", " ") + " UTC"

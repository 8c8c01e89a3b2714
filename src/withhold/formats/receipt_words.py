"""Receipts in plain words: the same on the command line, on the printed page and in the PDF.

What is said is said of the facts of a statement, and what it proves and does not prove stands beside it.
Times are shown and decide nothing, and the words say so.

Not here: checking (`domain.receipts`), how it looks (`receipt_pdf`, `web.receipt_page`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from withhold.domain.receipts import Verified
from withhold.domain.statements import Facts, Form
from withhold.domain.times import utc

_PURPOSES = {"model_training": "training models", "service_improvement": "improving services"}
_BASES = {
    "consent": "consent (GDPR Article 6(1)(a))",
    "legitimate_interest": "legitimate interests (GDPR Article 6(1)(f)); an opt-out is an objection "
    "(Article 21)",
}
_DONE = {"opted_out": "turned off", "opted_in": "turned on"}
_HOLDS = {"opted_out": "off", "opted_in": "on"}
_USES = {"model_training": "Training on", "service_improvement": "Improving services with"}
_ENTRIES = {
    "policy_adopted": "Policy adopted",
    "organization_opened": "Organization opened",
    "organization_moved": "Plan of an organization changed",
    "account_opened": "Account opened",
    "account_moved": "Plan or organization of an account changed",
    "accounts_merged": "Accounts merged",
    "rows_deleted": "Rows deleted",
    "dataset_committed": "Dataset committed",
    "log_key_replaced": "Key of the log replaced",
    "dataset_tagged": "Dataset made ready for proofs",
    "account_erased": "Account erased",
    "dataset_exported": "Copy of a dataset made",
}
_WHOSE_DATA = {"account": "your", "organization": "the organization's"}

SURFACES: Mapping[str, str] = {
    "api": "API",
    "cli": "Command line",
    "console": "Admin Console",
    "mobile": "Mobile app",
}
"""What surfaces are called where no policy is at hand; others are called by their id."""

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
PUBLIC_NOT_WORTH = (
    "What was recorded later: a newer entry may say otherwise.",
    NOT_WORTH[-1],
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
    "holds": _HOLDS,
    "uses": _USES,
    "entries": _ENTRIES,
    "whose_data": _WHOSE_DATA,
    "surfaces": SURFACES,
    "full": {"proves": WORTH, "does_not": NOT_WORTH},
    "public": {"proves": WORTH, "does_not": PUBLIC_NOT_WORTH},
    "redacted": {"proves": REDACTED_WORTH, "does_not": REDACTED_NOT_WORTH},
}
"""The same words for a page that checks by itself."""


@dataclass(frozen=True, slots=True)
class Told:
    """A receipt, told to a person.

    Attributes:
        title: in a few words, what was confirmed.
        at: when it was recorded, in words.
        sentence: the title as a sentence, for where no title stands above.
        plain: a name and what stands there, in order, for everybody.
        technical: the same, for whoever checks by other means.
        proves: one sentence.
        does_not: what it does not prove.
    """

    title: str
    at: str
    sentence: str
    plain: tuple[tuple[str, str], ...]
    technical: tuple[tuple[str, str], ...]
    proves: str
    does_not: tuple[str, ...]

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """All of it, line by line, the sentence first."""
        return (("What", self.sentence), *self.plain, *self.technical)


def told(found: Verified) -> Told:
    """Return a receipt in plain words."""
    facts = found.facts
    proves, does_not = _worth(facts)
    return Told(
        title(facts),
        when(facts.recorded_at),
        sentence(facts),
        _stated(_plain(facts)),
        _stated(_technical(found)),
        proves,
        does_not,
    )


def _worth(facts: Facts) -> tuple[str, tuple[str, ...]]:
    """Return what a receipt proves, and what it does not."""
    if facts.form != Form.FULL:
        return REDACTED_WORTH, REDACTED_NOT_WORTH
    return WORTH, PUBLIC_NOT_WORTH if facts.subject is None else NOT_WORTH


def title(facts: Facts) -> str:
    """Return in a few words what was confirmed: ``Training on your Vibe data: off``."""
    holds = _HOLDS.get(facts.kind)
    if holds is None:
        return _ENTRIES.get(facts.kind, facts.kind.replace("_", " ").capitalize())
    # a redacted receipt is shown to others, whose data it is not about
    whose_data = _WHOSE_DATA.get(facts.holder or "", "") if facts.form == Form.FULL else ""
    use = _USES.get(facts.purpose or "", "Use of")
    return (
        f"{' '.join(filter(None, (use, whose_data, facts.label or facts.product)))} data: {holds}"
    )


def sentence(facts: Facts) -> str:
    """Return in one sentence what was confirmed."""
    done = _DONE.get(facts.kind)
    if done is None:
        return title(facts)
    purpose = _PURPOSES.get(facts.purpose or "", "training")
    return f"The use of data for {purpose} was {done}: {facts.label or facts.product}"


def _plain(facts: Facts) -> Iterable[tuple[str, str]]:
    requested, recorded = when(facts.requested_at), when(facts.recorded_at)
    return (
        ("Whose", whose(facts)),
        ("Product", facts.label or facts.product or ""),
        ("Used for", _PURPOSES.get(facts.purpose or "", "")),
        ("Position", f"{facts.position:,}"),
        ("Requested", requested if requested != recorded else ""),
        ("Recorded", recorded),
        (
            "In effect",
            f"from position {facts.position:,} on, which was on disk before it was confirmed",
        ),
        ("Control", SURFACES.get(facts.surface or "", facts.surface or "")),
        ("Notice", f"version {facts.notice}" if facts.notice else ""),
        ("Legal basis", _BASES.get(facts.basis or "", "")),
    )


def _technical(found: Verified) -> Iterable[tuple[str, str]]:
    facts = found.facts
    return (
        ("Product id", facts.product or ""),
        ("Log", facts.log),
        ("Policy", f"SHA-256 {facts.policy}"),
        ("Status", f"dpv:{facts.status}" if facts.status else ""),
        ("Proven in", f"the tree of {found.checkpoint.head.size:,} entries"),
        ("Signed with", found.key_id),
    )


def _stated(lines: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in lines if value)


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

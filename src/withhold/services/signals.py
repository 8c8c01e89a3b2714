"""What a person is told of the signals that their own browser sends.

For the person's own surfaces, whose requests the person's browser makes itself. The requests of the HTTP
API come from the provider's servers: their headers say nothing about the people whose rows they carry,
and nothing here is asked about them.

Not here: what becomes of a row that came with a signal (`capture`), reading the request (`web`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from withhold.domain import signals
from withhold.domain.policy import Policy
from withhold.domain.signals import Signal

NAMES: Mapping[Signal, str] = {
    Signal.GPC: "Global Privacy Control",
    Signal.CONTENT_USAGE: "a usage preference against training (Content-Usage)",
}
"""What people call the signals."""


@dataclass(frozen=True, slots=True)
class HeardSignal:
    """A refusing signal that a browser sends, and what the policy makes of it.

    Attributes:
        name: what people call it.
        honoured_for: labels of the products for which it counts, in the order people see them; empty
            when the policy honours it for none.
    """

    signal: Signal
    name: str
    honoured_for: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What the person reads, in English."""
        sends = f"Your browser sends {self.name}"
        if not self.honoured_for:
            return f"{sends}; the policy does not honour it, so use the switch."
        return (
            f"{sends}; the policy honours it for {' and '.join(self.honoured_for)}: what you make there "
            "with this browser is not kept for training. It leaves the switch as it is."
        )


def heard(headers: Iterable[tuple[str, str]], policy: Policy) -> tuple[HeardSignal, ...]:
    """Return the refusing signals in the headers of a person's own request.

    Args:
        headers: names in any case, with their values.
        policy: the one in force.
    """
    return tuple(
        HeardSignal(signal, NAMES[signal], _labels(signal, policy))
        for signal in signals.from_headers(headers)
    )


def _labels(signal: Signal, policy: Policy) -> tuple[str, ...]:
    return tuple(p.label for p in policy.products if signal in p.honours)

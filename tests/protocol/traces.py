"""The shortest counter-example of every broken variant, kept as ``traces.json`` and checked for equality.

The sound code must walk each trace without breaking the promise named beside it: it refuses a step, or
withholds the row, or stops the reader. A replay (``test_replay.py``) maps each verb to the simulator;
a step that the sound code refuses ("gives up", 4xx, not stored) is skipped and the trace goes on. The
steps that only a broken variant has (``moves the position``, ``checks``, ``claim``) are replayed as the
nearest thing an adversary or an interleaving can do from outside.

The verbs:

- ``sign_up WHO on|on_from_now|out``: open an account; ana is at home, on a plan of her own.
- ``opt_out WHO``, ``opt_in WHO``: WHO is an account, or the organisation ``acme``.
- ``move ana acme|home``: she joins the organisation, or leaves it for her own plan.
- ``default home|acme on|off``, ``lock home|acme on|off``: a policy is adopted that changes the default or
  the lock of the plan that people have there. (In the model acme's plan starts on and unlocked.)
- ``token ROW``: a capture token is taken for ROW and kept. ``accept ROW``: the product takes the content
  in; nothing for Withhold to see.
- ``chat ROW WHO HOW [DOC]``, ``attach DOC WHO HOW``: the content is sent; HOW is ``token`` (the one kept),
  ``tokenless`` (none; a stamp of the server's own), or ``claim`` (an unsigned position, the head). With
  DOC the row uses that document. The same ROW sent again is a retry of the same id.
- ``seal decides|registers``, ``apply first|second reads|writes|moves the position|gives up``,
  ``compact reads|writes|gives up``, ``build chat decides|checks|commits|is refused``: the two halves of a
  job, so that other verbs can come between. ``build chat`` alone is a whole build.
- ``load chat@1``: a new reader reads it all. ``reader asks``, ``server answers T``, ``reader is answered
  T``: the request for a lease that was sent at tick T, on its way. ``tick``: half a lease passes.
  ``reader yields ROW``: the reader tries to go on. ``apply`` alone is a whole application.
- ``flush``, ``confirm WHO``, ``witness``, ``backup``, ``restore``, ``recover``, ``crash``: as they say.
  ``status WHO``: ask what holds for WHO.

Written anew by ``python -m tests.protocol.traces`` from the root of the project.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .breaks import LATER, Break
from .model import broken
from .search import Trace

FILE = Path(__file__).with_name("traces.json")


@dataclass(frozen=True, slots=True)
class Counterexample:
    """What one thing done wrong leads to.

    Attributes:
        explanation: one sentence, what is done wrong.
        promise: the promise that the trace breaks.
        later: whether the code it is replayed against comes with a later issue.
    """

    fault: Break
    explanation: str
    promise: str
    later: bool
    trace: Trace


def found(fault: Break) -> Counterexample | None:
    """Search for the counter-example of a broken variant."""
    outcome = broken(fault)
    if outcome.promise is None:
        return None
    return Counterexample(fault, fault.value, outcome.promise, fault in LATER, outcome.trace)


def kept() -> dict[Break, Counterexample]:
    """Return the counter-examples as they are stored."""
    return {
        Break[item["break"]]: Counterexample(
            fault=Break[item["break"]],
            explanation=item["explanation"],
            promise=item["promise"],
            later=item["later"],
            trace=tuple(tuple(step) for step in item["trace"]),
        )
        for item in json.loads(FILE.read_text(encoding="utf-8"))
    }


def write() -> None:
    """Search for all counter-examples and store them, one step a line."""
    items = []
    for example in filter(None, map(found, Break)):
        steps = ",\n".join(f"      {json.dumps(step)}" for step in example.trace)
        head = {
            "break": example.fault.name,
            "explanation": example.explanation,
            "promise": example.promise,
            "later": example.later,
        }
        fields = "".join(f"    {json.dumps(key)}: {json.dumps(head[key])},\n" for key in head)
        items.append(f'  {{\n{fields}    "trace": [\n{steps}\n    ]\n  }}')
    FILE.write_text("[\n" + ",\n".join(items) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    write()

"""An interrupt at a chosen point, and at each place where Python may raise one in the main thread.

CPython looks for signals when it enters a function, after each call, and where it jumps back
(`CHECK_EVAL_BREAKER` in `ceval.c`). Those are the points; a trace raises at the one with a number.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FrameType
from typing import Any

from withhold.adapters.store.sqlite import control, tickets, worker, writers

FILES = {module.__file__ for module in (control, tickets, worker, writers)}


class Interrupt(KeyboardInterrupt):
    """What is raised."""


@cache
def _points(code: CodeType) -> frozenset[int]:
    """Return the instructions of a function before which an interrupt may be raised, but for its first."""
    found, before = set(), ""
    for instruction in dis.get_instructions(code):
        if before.startswith("CALL"):
            found.add(instruction.offset)
        name = instruction.opname
        if name.startswith("JUMP_BACKWARD") and "NO_INTERRUPT" not in name:
            found.add(instruction.offset)
        before = name
    return frozenset(found)


class At:
    """Raises an interrupt at the point with a number, in this thread, while it runs something."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.place = ""  # where it was raised; empty when there are fewer points

    def run(self, action: Callable[[], object]) -> object:
        """Run it; return what it returned, or the error that it raised."""
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            return action()
        except BaseException as error:  # noqa: BLE001 (what it raised is what is asked for)
            return error
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if self.place or frame.f_code.co_filename not in FILES:
            return None
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._pass(frame)
        elif event == "opcode" and frame.f_lasti in _points(frame.f_code):
            self._pass(frame)
        return self._trace

    def _pass(self, frame: FrameType) -> None:
        if self._left:
            self._left -= 1
            return
        self.place = f"{frame.f_code.co_qualname}, line {frame.f_lineno}"
        sys.settrace(None)
        raise Interrupt


def every_point(scenario: Callable[[At], None]) -> Iterator[str]:
    """Run a scenario once for each point of what it runs `At`; yield the places as they are done."""
    number = 0
    while True:
        at = At(number)
        scenario(at)
        if not at.place:
            return
        yield at.place
        number += 1

"""Controls: a switch made ready to be drawn, and what turning it does to earlier data.

What a template needs and nothing more. Shared by `console` and `mobile`, which draw it differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import structlog

from withhold.domain.directory import SubjectKind
from withhold.domain.lease import DEFAULT_SECONDS
from withhold.domain.surfaces import Place
from withhold.errors import WithholdError
from withhold.services import switches
from withhold.services.switches import Holder, Switch
from withhold.services.whereabouts import Whereabouts, whereabouts
from withhold.web.log import told
from withhold.web.sessions import new_key
from withhold.web.switching import Said
from withhold.web.visits import TOKEN_FIELD, Visit

SHOWN_MS = 60_000  # how long after a change "within 0.2 s" is worth saying

_log = structlog.get_logger("withhold.web")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where on the surfaces a switch is drawn.

    Attributes:
        place: the product and its surface, from the policy.
        holder: whose switch it is.
        action: the address of its page.
        own: the address of the viewer's own switch of the same product.
        base: what the addresses of the same holder's other pages begin with.
    """

    place: Place
    holder: Holder
    action: str
    own: str
    base: str


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a page about the switch at a spot."""

    spot: Spot

    @property
    def id(self) -> str:
        """What the parts of it are called on the page."""
        return self.spot.place.product.id

    @property
    def is_organizations(self) -> bool:
        """Whether it is of an organization's switch."""
        return self.spot.holder.kind is SubjectKind.ORGANIZATION


@dataclass(frozen=True, slots=True)
class Control(_Part):
    """A switch, ready to be drawn.

    Attributes:
        switch: what it says, None when that cannot be read.
        said: what to say about the last press.
        is_asked: whether to ask for the second press that turns it on.
        is_focused: whether the keyboard goes to it.
        marks: of what all switches of the holder show.
        names: names of organizations by id.
        key: the name of the request that may turn it on.
    """

    switch: Switch | None
    said: Said
    is_asked: bool
    is_focused: bool
    marks: str
    names: Mapping[str, str]
    token: str
    key: str
    field: str = TOKEN_FIELD

    @property
    def name(self) -> str:
        """The name of the organization whose switch it is."""
        return self.named(self.spot.holder.id)

    def named(self, organization: str) -> str:
        """Return the name of an organization."""
        return self.names.get(organization, organization)


@dataclass(frozen=True, slots=True)
class Effect(_Part):
    """What turning a switch off does, and did, to earlier data.

    Attributes:
        is_on: whether the switch is on now.
        found: where the holder's rows are, None when that cannot be told now, or not to this viewer.
        removed: from how many datasets the rows are gone, of how many; None while the switch is on.
        seconds: within which time after the change that was so, None when nobody was waiting for it.
    """

    is_on: bool
    found: Whereabouts | None
    removed: tuple[int, int] | None
    seconds: float | None
    marks: str
    lease_seconds: int = int(DEFAULT_SECONDS)


def control(
    visit: Visit, spot: Spot, *, is_asked: bool = False, is_focused: bool = False
) -> Control:
    """Return a switch as it stands, for a page or a part of one."""
    found = switches.switch(visit.ports, spot.holder, spot.place.product.id)
    asked = is_asked and found.may_turn_on
    return pressed(visit, spot, found, Said.NOTHING, is_asked=asked, is_focused=is_focused)


def pressed(
    visit: Visit,
    spot: Spot,
    switch: Switch | None,
    said: Said,
    *,
    is_asked: bool = False,
    is_focused: bool = False,
) -> Control:
    """Return a switch after a press, with what to say about it."""
    marks = switches.marks(visit.ports, spot.holder) if switch is not None else ""
    key = new_key() if is_asked else ""
    return Control(spot, switch, said, is_asked, is_focused, marks, visit.names, visit.token, key)


def effect(visit: Visit, spot: Spot, *, may_see: bool, is_awaited: bool = False) -> Effect:
    """Return what turning a switch does to earlier data.

    Args:
        may_see: whether the viewer may know where the rows are.
        is_awaited: whether somebody just turned it and waits for this.
    """
    product = spot.place.product.id
    marks = switches.marks(visit.ports, spot.holder)
    switch = switches.switch(visit.ports, spot.holder, product)
    found = _found(visit, spot) if may_see else None
    if found is None or switch.is_on:
        return Effect(spot, switch.is_on, found, None, None, marks)
    elapsed_ms = visit.ports.clock.now_ms() - switch.recorded_at
    is_told = is_awaited and 0 <= elapsed_ms < SHOWN_MS
    seconds = ceil(elapsed_ms / 100 + 0.01) / 10 if is_told else None  # never less than it was
    return Effect(spot, switch.is_on, found, found.removed(switch.position), seconds, marks)


def _found(visit: Visit, spot: Spot) -> Whereabouts | None:
    """Return where the rows are, None when the lake cannot tell now: the switch is right all the same."""
    try:
        return whereabouts(visit.ports, spot.holder, spot.place.product.id)
    except WithholdError as error:
        _log.warning("whereabouts cannot be told", error=told(error))
        return None

"""Turning a switch from a page: what the form says, what was done, and what to say about it.

Off is one press and unconditional. On is a second, deliberate press: the form of the confirmation carries
the position it was drawn at, the notice beside it, and a name that counts once, so that a stale tab, a
replay, the back button or a double click never turns training on (S2, S4, S5). Whatever came of it, the
page is drawn from what the server says now; a save that failed is called not confirmed (S3).

Shared by `console` and `mobile`, which do not know each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

import structlog

from withhold.domain.names import Position, ProductId
from withhold.domain.policy import Policy
from withhold.domain.surfaces import Page, Place
from withhold.errors import (
    ConflictError,
    InputError,
    LedgerBehind,
    PolicyError,
    StateUnknown,
    StorageError,
    UnknownProduct,
    WithholdError,
)
from withhold.ports import Ports
from withhold.services import preferences, switches
from withhold.services.preferences import PreferenceRequest
from withhold.services.switches import Holder, Switch
from withhold.web.forms import Form
from withhold.web.log import told
from withhold.web.problems import PROBLEMS
from withhold.web.visits import Visit

FIELDS = ("product", "allowed", "seen", "key", "notice")

_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")
_POSITION = re.compile(r"[0-9]{1,18}")
_ALLOWED = {"on": True, "off": False}

_log = structlog.get_logger("withhold.web")


class Said(StrEnum):
    """What a page says about a press, besides what holds now."""

    NOTHING = "nothing"  # nobody pressed
    CONFIRMED = "confirmed"  # it is in the ledger
    NOT_CONFIRMED = "not_confirmed"  # the save failed; nothing was recorded
    READ_ONLY = "read_only"  # nothing can be recorded until the log is restored
    NOT_KNOWN = "not_known"  # whether it was recorded is not known
    CHANGED = "changed"  # something newer stands; nothing was done
    REFUSED = "refused"  # a rule said no; nothing was done


@dataclass(frozen=True, slots=True)
class Turned:
    """What came of a press.

    Attributes:
        switch: what holds now, None when it cannot be read.
        status: of the answer.
    """

    switch: Switch | None
    said: Said
    status: HTTPStatus


def place_of(page: Page, product: str) -> Place:
    """Return where a product's switch stands on a page; the only one when no product is named.

    Raises:
        UnknownProduct: it does not stand there.
    """
    for place in page.places:
        if product in {"", place.product.id}:
            return place
    raise UnknownProduct("there is no such switch on this page")


def turn(visit: Visit, holder: Holder, surface: str, form: Form) -> Turned:
    """Do what a press asks for, and return what holds now.

    Raises:
        InputError: the form is not one of ours.
        UnknownAccount, UnknownOrganization, UnknownProduct: there is no such switch.
    """
    request = _request(visit.policy, holder, surface, form)
    said, status = Said.CONFIRMED, HTTPStatus.OK
    try:
        _check_notice(request)
        preferences.set_preference(visit.ports, request)
    except (ConflictError, PolicyError, StateUnknown, StorageError) as error:
        said, status = _told(error)
    return Turned(_read(visit.ports, holder, request.product), said, status)


def _check_notice(request: PreferenceRequest) -> None:
    """Refuse to turn on under a text that is not the one that was read; an off needs none."""
    if request.allowed and request.notice is None:
        raise ConflictError("the text beside the switch is another one now; read it first")


def _request(policy: Policy, holder: Holder, surface: str, form: Form) -> PreferenceRequest:
    allowed = _ALLOWED.get(form.get("allowed", ""))
    if allowed is None:
        raise InputError("form: allowed is on or off")
    # a stale page showed another text; an off is taken all the same, without naming a notice
    notice = policy.notice if form.get("notice") == policy.notice else None
    product = ProductId(form.get("product", ""))
    who = (holder.kind, holder.id, product, allowed, surface, holder.viewer, notice)
    if not allowed:
        return PreferenceRequest(*who)
    return PreferenceRequest(*who, _key(surface, form), _seen(form))


def _key(surface: str, form: Form) -> str:
    key = form.get("key", "")
    if not _KEY.fullmatch(key):
        raise InputError("form: turning on carries the key of its page")
    return f"{surface}-form:{key}"


def _seen(form: Form) -> Position:
    seen = form.get("seen", "")
    if not _POSITION.fullmatch(seen):
        raise InputError("form: turning on carries the position it was shown at")
    return Position(int(seen))


def _told(error: WithholdError) -> tuple[Said, HTTPStatus]:
    status = HTTPStatus(PROBLEMS[type(error)].status)
    if isinstance(error, ConflictError):
        return Said.CHANGED, HTTPStatus.CONFLICT if status.value == 422 else status
    if isinstance(error, PolicyError):
        return Said.REFUSED, status
    if isinstance(error, LedgerBehind):
        return Said.READ_ONLY, status
    _log.error("a switch was not turned", error=told(error))
    return Said.NOT_KNOWN if isinstance(error, StateUnknown) else Said.NOT_CONFIRMED, status


def _read(ports: Ports, holder: Holder, product: ProductId) -> Switch | None:
    """Return what holds now, None when it cannot be read: what became of the press is said all the same."""
    try:
        return switches.switch(ports, holder, product)
    except StorageError as error:
        _log.error("a switch cannot be read", error=told(error))
        return None

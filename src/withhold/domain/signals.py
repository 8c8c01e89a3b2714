r"""Signals: what a person's browser says about the use of data, with each request.

Two are known: Global Privacy Control, the request header ``Sec-GPC: 1``, and the training preference of
AIPREF, ``Content-Usage: train-ai=n`` (IETF drafts ietf-aipref-vocab and ietf-aipref-attach, as of 2026).
The product forwards them with the row that the request made.

The rule: a signal only ever takes away. What says no refuses; ``train-ai=y`` and silence say nothing, so
they turn nothing on and stand in nobody's way; what cannot be understood refuses. The drafts leave the
last case to the recipient ("unknown"), as they do what follows from a preference.

A value of ``Content-Usage`` is a Dictionary of Structured Fields (RFC 9651, section 4.2.2), parsed here
without exceptions for nearly right ones. Unlike there, a key that is given twice counts each time:
header lines of two origins are joined by a comma, and of several preferences the most restrictive holds
(ietf-aipref-vocab, "Combining Preferences").

Not here: which signals are honoured, and for which products (`policy`); what becomes of a row
(`services.capture`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum

GPC_HEADER, CONTENT_USAGE_HEADER = "sec-gpc", "content-usage"
TRAINING = "train-ai"
"""The label of AIPREF's category "AI Model Training"."""
ALLOWED = "y"


class Signal(Enum):
    """A signal, by the name that rows and policies give it."""

    GPC = "gpc"  # Global Privacy Control
    CONTENT_USAGE = "content_usage"  # the usage preferences of AIPREF


# Possessive, so that a hostile value costs no more than one pass (RFC 9651, sections 4.2.2 to 4.2.10).
_KEY = r"[a-z*][a-z0-9_.*-]*+"
_WORD = r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+"
_OTHER = (
    r"(?:"
    r"-?(?>[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15})(?![0-9.])"  # a decimal or an integer
    r'|"(?:[ !#-\[\]-~]|\\["\\])*+"'  # a string
    r"|:[A-Za-z0-9+/=]*+:"  # bytes
    r"|\?[01]"  # a boolean
    r"|@-?[0-9]{1,15}(?![0-9.])"  # a date
    r'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*+"'  # a display string
    r")"
)
_BARE = rf"(?:{_WORD}|{_OTHER})"
_PARAMETERS = rf"(?:; *+{_KEY}(?:={_BARE})?)*+"
_INNER_LIST = rf"\((?: *+{_BARE}{_PARAMETERS}(?=[ )]))*+ *+\)"
_MEMBER = re.compile(
    rf"(?P<key>{_KEY})(?:=(?:(?P<token>{_WORD})|{_OTHER}|{_INNER_LIST}))?{_PARAMETERS}"
)
_COMMA = re.compile(r"[ \t]*+,[ \t]*+")


def refusals(*, gpc: bool, content_usage: str | None) -> tuple[Signal, ...]:
    """Return the signals that refuse training, of those that came with a row.

    Args:
        gpc: whether the browser sent Global Privacy Control.
        content_usage: the value of its ``Content-Usage``, None when it sent none.
    """
    found = (Signal.GPC,) if gpc else ()
    if content_usage is not None and refuses_training(content_usage):
        found = (*found, Signal.CONTENT_USAGE)
    return found


def from_headers(headers: Iterable[tuple[str, str]]) -> tuple[Signal, ...]:
    """Return the signals that refuse training, of those in a request's headers.

    ``Sec-GPC`` has one value, 1 (W3C, Global Privacy Control). The header counts whatever it holds:
    nobody sends it to consent.

    Args:
        headers: names in any case, with their values; lines of one name count together.
    """
    lines = [(name.lower(), value) for name, value in headers]
    usage = [value for name, value in lines if name == CONTENT_USAGE_HEADER]
    gpc = any(name == GPC_HEADER for name, _ in lines)
    return refusals(gpc=gpc, content_usage=", ".join(usage) if usage else None)


def refuses_training(content_usage: str) -> bool:
    """Return whether a value of ``Content-Usage`` says no to training, or cannot be understood."""
    try:
        members = list(_members(content_usage))
    except ValueError:
        return True
    return any(key == TRAINING and token != ALLOWED for key, token in members)


def _members(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield each key of a Dictionary with its value, if that is a token.

    Raises:
        ValueError: it is not a Dictionary.
    """
    text = text.strip(" ")
    end = len(text.rstrip(" \t"))
    at = 0
    while text:
        member = _MEMBER.match(text, at)
        if member is None:
            raise ValueError
        yield member["key"], member["token"]
        at = member.end()
        if at == end:
            return
        comma = _COMMA.match(text, at)
        if comma is None:
            raise ValueError
        at = comma.end()

"""Settings: what the environment says, read here and nowhere else.

Every setting has a safe default, so a new version runs with old settings. A value that cannot be
understood is refused with its name; nothing is guessed.

Not here: the policy (a versioned file in the ledger, not a setting).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from withhold.errors import InputError

DEFAULT_HOME = "./.withhold"
DEFAULT_LISTEN = "127.0.0.1:8080"
MAX_PORT = 65_535
MAX_ORIGIN = 200  # characters; the second signature has one byte for the length
_ORIGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*", re.ASCII)

VARIABLES: Mapping[str, str] = {
    "WITHHOLD_HOME": f"the folder with all data, made if absent (default {DEFAULT_HOME})",
    "WITHHOLD_LISTEN": f"host:port of the server (default {DEFAULT_LISTEN})",
    "WITHHOLD_DEMO": "1 loads the demo at the first start, 0 does not (default 1)",
    "WITHHOLD_WITNESS": "who sees the head: file:/PATH or https://ADDRESS#KEY, with commas (nobody)",
    "WITHHOLD_ORIGIN": "the log's name when the home is made, its address without the scheme (by chance)",
}
"""Every variable that is read, with one line of what it means."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process runs with.

    Attributes:
        home: the folder with all data.
        host: the address to listen on; a name, an IPv4 or an IPv6 address.
        port: the TCP port to listen on; 0 lets the system choose.
        demo: whether the first start loads the demo.
    """

    home: Path
    host: str
    port: int
    demo: bool


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings.

    Args:
        environment: the variables; those of the process when left out.

    Raises:
        InputError: a variable has a value that cannot be understood.
    """
    values = os.environ if environment is None else environment
    host, port = parse_listen(values.get("WITHHOLD_LISTEN") or DEFAULT_LISTEN)
    demo = values.get("WITHHOLD_DEMO") or "1"
    if demo not in {"0", "1"}:
        raise InputError(f"WITHHOLD_DEMO {demo[:32]!r}: expected 1 or 0")
    return Settings(home(values), host, port, demo == "1")


def home(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder with all data."""
    values = os.environ if environment is None else environment
    return Path(values.get("WITHHOLD_HOME") or DEFAULT_HOME)


def origin(environment: Mapping[str, str] | None = None) -> str | None:
    """Return the name that the log is to have when a home is made; None leaves it to chance.

    Raises:
        InputError: it is not of the form of an address without its scheme.
    """
    values = os.environ if environment is None else environment
    name = values.get("WITHHOLD_ORIGIN") or None
    if name is not None and (len(name) > MAX_ORIGIN or not _ORIGIN.fullmatch(name)):
        raise InputError(
            f"WITHHOLD_ORIGIN {name[:80]!r}: expected the log's address without https:// and without a "
            "slash at its end, for example training.example.com/log"
        )
    return name


def witnesses(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return who is to see the ledger's head, as the operator wrote it."""
    values = os.environ if environment is None else environment
    named = (each.strip() for each in values.get("WITHHOLD_WITNESS", "").split(","))
    return tuple(each for each in named if each)


def state(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of this user in which what was last seen of each log is kept."""
    values = os.environ if environment is None else environment
    folder = values.get("XDG_STATE_HOME")
    return (Path(folder) if folder else Path.home() / ".local" / "state") / "withhold"


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[::1]:port``.

    Raises:
        InputError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > MAX_PORT:
        raise InputError(
            f"WITHHOLD_LISTEN {text[:80]!r}: expected host:port, for example {DEFAULT_LISTEN}"
        )
    return host, int(port)

"""The composition root: settings -> adapters -> services -> ASGI application and commands.

The one place where a port meets its adapter. A home that was just made adopts the shipped policy, so
that position 1 of every ledger is a policy; a later version of the shipped file is adopted by a person
(``withhold policy adopt``), never by an upgrade (S6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from withhold import settings
from withhold.adapters.embedded import Options, exists, open_embedded
from withhold.errors import InputError
from withhold.services import policies
from withhold.web.application import make_application

if TYPE_CHECKING:
    from litestar import Litestar

    from withhold.ports import Ports
    from withhold.web.sign_in import OfferedGroup

SHIPPED_POLICY = "default.toml"


def shipped_policy() -> str:
    """Return the text of the policy file that Withhold ships."""
    folder = resources.files("withhold") / "policies"
    return (folder / SHIPPED_POLICY).read_text(encoding="utf-8")


@contextmanager
def open_ports(home: Path, *, make: bool = False) -> Iterator[Ports]:
    """Open the installation in a folder.

    Args:
        home: the folder with all data.
        make: make the installation when there is none.

    Raises:
        InputError: there is no installation and none was to be made, or a setting does not fit it.
        StorageError: the disk refused, or a part of the installation is missing.
    """
    if not make and not exists(home):
        raise InputError(
            f"home {home}: no installation is here; run `withhold up`, or set WITHHOLD_HOME or --home"
        )
    options = Options(settings.origin(), settings.witnesses(), settings.state())
    with open_embedded(home, options) as ports:
        if ports.ledger.head() == 0 and not ports.watch.gate.reason:
            policies.adopt(ports, shipped_policy())
        yield ports


def application(ports: Ports, home: Path, offered: Sequence[OfferedGroup] = ()) -> Litestar:
    """Return the ASGI application over opened ports.

    Args:
        ports: opened, and kept open by the caller.
        home: the folder with all data.
        offered: accounts of the demo that anybody may sign in as; nobody may when empty.
    """
    return make_application(ports, home, offered)

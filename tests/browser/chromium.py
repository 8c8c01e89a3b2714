"""Which Chromium the tests drive, and how a page is looked at."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str:
    """Return the path of a Chromium.

    Raises:
        RuntimeError: there is none; `make chromium` sees to one.
    """
    named = os.environ.get("WITHHOLD_CHROMIUM")  # noqa: TID251 (which browser tests drive)
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise RuntimeError(
            "the browser tests need Chromium: run `make chromium`, or set WITHHOLD_CHROMIUM"
        )
    return found


@dataclass(frozen=True, slots=True)
class Screen:
    """A size, and whether it is touched."""

    width: int
    height: int
    is_touched: bool = False


DESK = Screen(1440, 900)
PHONE = Screen(390, 844, is_touched=True)


@dataclass(frozen=True, slots=True)
class Look:
    """How somebody looks at a page.

    Attributes:
        scheme: ``light`` or ``dark``.
        scripts: whether scripts run; every page must work without.
        still: whether less motion is asked for, which also makes what moves settle at once.
    """

    screen: Screen = DESK
    scheme: str = "light"
    scripts: bool = True
    still: bool = True

    def options(self) -> dict[str, Any]:
        """Return it as the options of a browser context."""
        size = {"width": self.screen.width, "height": self.screen.height}
        return {
            "viewport": size,
            "has_touch": self.screen.is_touched,
            "is_mobile": self.screen.is_touched,
            "color_scheme": self.scheme,
            "java_script_enabled": self.scripts,
            "reduced_motion": "reduce" if self.still else "no-preference",
            "locale": "en-GB",
        }

    def __str__(self) -> str:
        return "-".join(
            [str(self.screen.width), self.scheme, "scripts" if self.scripts else "no scripts"]
        )


WIDE, NARROW = Look(), Look(PHONE)
EVERY_LOOK = [
    Look(screen, scheme, scripts)
    for screen in (DESK, PHONE)
    for scheme in ("light", "dark")
    for scripts in (True, False)
]

"""No address of a package registry and no path of somebody's machine is part of the project."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, place, tracked

REGISTRIES = re.compile(r"pypi\.org|pythonhosted\.org|registry\.npmjs|--(?:extra-)?index-url")
MACHINES = re.compile(
    r"(?<![\w.<])/(?:work|root|home|Users)/[\w.]"  # a folder of ours, or somebody's home
    r"|(?<![\w.])/tmp/\w+/(?:bin|lib)/"  # an environment made by hand
)
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def _texts() -> dict[str, str]:
    found = {}
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            found[place(path)] = content.decode("utf-8")
    return found


def _lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in _texts().items()
        if name != place(ROOT / "tests/house/test_no_addresses.py")
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_registry_is_named() -> None:
    assert _lines(REGISTRIES) == []


def test_no_path_of_a_machine_is_named() -> None:
    assert _lines(MACHINES) == []


def test_the_lock_pins_every_package_by_hash_and_holds_no_address() -> None:
    assert LOCKS
    for path in LOCKS:
        entries = path.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
        for entry in entries:
            assert re.match(r"[a-z0-9._-]+==\S+", entry), f"{place(path)}: {entry[:80]}"
            assert "--hash=sha256:" in entry, f"{place(path)}: {entry[:80]}"
            assert "://" not in entry, f"{place(path)}: {entry[:80]}"

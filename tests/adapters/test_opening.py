"""Many processes open one home at once: the server, commands, and programs that read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from withhold import app

PROCESSES = 4
TIMES = 150

_OPENS = """
import sys
from pathlib import Path
from withhold.adapters.embedded import open_embedded

for _ in range(int(sys.argv[2])):
    with open_embedded(Path(sys.argv[1])) as ports:
        ports.sessions.find(b"a" * 32)
"""


def test_many_processes_make_and_open_one_home_at_once_and_none_fails(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _OPENS, str(tmp_path / "home"), str(TIMES)]
    children = [
        subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(PROCESSES)
    ]
    told = [child.communicate()[1] for child in children]
    assert told == [""] * PROCESSES
    assert [child.returncode for child in children] == [0] * PROCESSES


def test_databases_are_their_owners_alone_whatever_folder_they_are_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    with app.open_ports(home, make=True):
        databases = [path for path in home.iterdir() if ".db" in path.name]
        assert {path.name for path in databases} >= {"control.db", "control.db-wal", "capture.db"}
        assert [path.name for path in databases if path.stat().st_mode & 0o077] == []

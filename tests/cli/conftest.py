"""The command line in process: `main` with its arguments, its output and its exit code."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from withhold.__main__ import main


@dataclass
class Done:
    """What a finished command left."""

    code: int
    out: str
    err: str


class Terminal(StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        return True


@dataclass
class Shell:
    """Runs commands over one home."""

    home: Path
    monkeypatch: pytest.MonkeyPatch

    def run(self, *words: str, err: StringIO | None = None) -> Done:
        out, err = StringIO(), err or StringIO()
        self.monkeypatch.setattr(sys, "argv", ["withhold", *words])
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert done.code == 0, done.err
        assert done.err == ""
        return done.out

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "--json"))

    def rows(self, *rows: dict[str, Any]) -> str:
        path = self.home.parent / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)


def failing(shell: Shell, *words: str) -> Any:
    """Return the one document of a check that fails, as ``--json`` gives it."""
    done = shell.run(*words, "--json")
    assert done.code == 2
    document = json.loads(done.out)
    assert document["verified"] is False
    assert document["error"] in done.err
    return document


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    home = tmp_path / "home"
    monkeypatch.setenv("WITHHOLD_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    return Shell(home, monkeypatch)

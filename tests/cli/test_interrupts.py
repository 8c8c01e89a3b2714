"""Ctrl-C, wherever it comes, and output that cannot be written: one line, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from withhold.services import audit

SAID = "withhold: interrupted; what was confirmed stands, run it again to go on\n"

WHILE_IMPORTING = """
import sys

class Interrupted:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from withhold.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["withhold.cli", "typer", "numpy", "withhold.services.audit"])
def test_while_a_command_is_imported(module: str) -> None:
    program = WHILE_IMPORTING.format(module=module)
    done = subprocess.run(
        [sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", SAID)


def test_while_a_command_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    shell.ok("account", "put", "ana")
    monkeypatch.setattr(audit, "audit", interrupted)
    done = shell.run("audit")
    assert (done.code, done.out, done.err) == (130, "", SAID)


def test_output_that_cannot_be_written_is_told_in_one_line(shell: Shell) -> None:
    shell.ok("account", "put", "ana")
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "withhold", "keys", "--home", str(shell.home)]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    said = "withhold: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)

"""Receipts on the command line, with and without an installation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Shell


@pytest.fixture
def issued(shell: Shell) -> str:
    """Give the position of ana's opt-out."""
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    position = str(shell.json("opt-out", "ana", "--product", "vibe")["position"])
    shell.ok("receipt", position, "receipt.json")
    shell.ok("receipt", position, "shown.json", "--redacted")
    Path("log.keys").write_text(shell.ok("keys"))
    return position


def gone(shell: Shell) -> None:
    """Let the operator's machine be gone."""
    shutil.rmtree(shell.home)


def test_a_receipt_says_what_was_confirmed_when_the_operator_is_gone(
    shell: Shell, issued: str
) -> None:
    key = Path("log.keys").read_text().strip()
    gone(shell)
    for named in ("log.keys", key):
        said = shell.ok("verify", "receipt.json", "--key", named)
        assert said.startswith("1  ok  form:")
        for words in (
            "The receipt holds.",
            "turned off: Vibe",
            "account ana",
            f"position {issued}",
        ):
            assert words in said
        told = shell.json("verify", "receipt.json", "--key", named)
        assert (told["verified"], told["position"]) == (True, int(issued))
        assert [step["step"] for step in told["steps"]] == [1, 2, 3, 4, 5, 6]
        assert told["facts"]["subject"] == "ana"
    assert "not told in this form" in shell.ok("verify", "shown.json", "--key", "log.keys")
    assert not shell.home.exists()


def test_without_a_key_and_a_home_who_signed_stays_open_and_the_command_fails(
    shell: Shell, issued: str
) -> None:
    gone(shell)
    done = shell.run("verify", "receipt.json")
    assert done.code == 2
    assert "Nobody is known to have signed this." in done.out
    assert "6  --  signature: not checked" in done.out
    assert "everything but who signed was checked" in done.err
    done = shell.run("verify", "receipt.json", "--json")
    assert done.code == 2
    assert json.loads(done.out)["verified"] is False


def test_with_a_home_its_ledger_must_still_have_the_entry(shell: Shell, issued: str) -> None:
    assert "7  ok  ledger" in shell.ok("verify", "receipt.json")
    gone(shell)
    shell.ok(
        "account", "put", "bo", "--plan", "vibe=free"
    )  # another installation in the same place
    done = shell.run("verify", "receipt.json")
    assert done.code == 2
    assert "step 4 (checkpoint)" in done.err


def test_a_receipt_can_be_asked_to_be_somebodys(shell: Shell, issued: str) -> None:
    shell.ok("verify", "receipt.json", "--account", "ana")
    for file, account in (("receipt.json", "eve"), ("shown.json", "ana")):
        done = shell.run("verify", file, "--account", account)
        assert done.code == 2
        assert "is not one of account" in done.err


def test_receipts_are_printed_and_written_in_every_form(shell: Shell, issued: str) -> None:
    assert shell.ok("receipt", issued).encode() == Path("receipt.json").read_bytes()
    for name, begins in (("a.pdf", b"%PDF"), ("a.html", b"<!doctype html>")):
        assert shell.ok("receipt", issued, name) == f"Wrote {name}.\n"
        assert Path(name).read_bytes().startswith(begins)
    assert shell.ok("verify", "--page", "verify.html") == "Wrote verify.html.\n"
    assert "connect-src" in Path("verify.html").read_text()
    assert shell.json("keys")["keys"] == Path("log.keys").read_text().split()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("verify", "absent.json"), "cannot be read"),
        (("verify", "log.keys"), "step 1 (form)"),
        (("verify", "receipt.json", "--key", "nonsense"), "cannot be read"),
        (("verify", "receipt.json", "--key", "a+b+c"), "key: expected"),
        (("verify", "receipt.json", "--key", "receipt.json"), "key: expected"),
        (("verify", "receipt.json", "--key", "empty"), "keys of one log"),
        (("receipt", "1", "a.docx"), "ends in .json, .pdf or .html"),
        (("receipt", "99"), "no such receipt"),
        (("receipt", "1", "absent/a.json"), "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    shell: Shell, issued: str, words: tuple[str, ...], told: str
) -> None:
    Path("empty").write_text("\n")
    done = shell.run(*words)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1


def test_a_file_that_is_too_large_is_not_read(shell: Shell, issued: str) -> None:
    with Path("huge.json").open("wb") as file:
        file.truncate(2**32)
    assert "expected at most" in shell.run("verify", "huge.json").err

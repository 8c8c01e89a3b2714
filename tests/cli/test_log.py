"""``withhold log``: what it prints is what the log says."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.conftest import Shell
from withhold.adapters.signing import verifies
from withhold.domain.checkpoints import LogKey, Trust, opened
from withhold.domain.notes import decoded, parse_key
from withhold.domain.tree import check_consistency


def _trust(shell: Shell) -> Trust:
    keys = shell.json("log", "keys")
    listed = [*keys["ed25519"], *keys["ml_dsa_44"]]
    return Trust(
        keys["origin"],
        tuple(LogKey(parse_key(k["key"]), k["first"], k["last"]) for k in listed),
    )


def test_a_person_follows_the_log_with_the_command_line(shell: Shell) -> None:
    shell.ok("account", "put", "ana")
    old = opened(shell.ok("log", "checkpoint").encode(), _trust(shell), verifies).checkpoint.head
    shell.ok("opt-out", "ana")
    new = opened(shell.ok("log", "checkpoint").encode(), _trust(shell), verifies).checkpoint.head
    printed = shell.ok("log", "consistency", str(old.size), str(new.size)).split()
    check_consistency(old, new, tuple(map(decoded, printed)))
    document = shell.json("log", "consistency", str(old.size), str(new.size))
    assert document["proof"] == printed
    assert shell.json("log", "checkpoint")["size"] == new.size
    shown = shell.json("log", "show")
    assert shown["size"] == new.size
    assert f"{new.size} entries" in shell.ok("log", "show")
    assert shell.run("log", "consistency", "3", "99").code == 2


def test_keys_are_replaced_and_the_old_ones_stay_listed(shell: Shell) -> None:
    shell.ok("account", "put", "ana")
    made = shell.json("log", "replace-key")
    keys = shell.json("log", "keys")
    assert [k["last"] for k in keys["ed25519"]] == [made["position"], None]
    assert keys["ed25519"][-1]["key"] == made["ed25519"]
    assert keys["ml_dsa_44"][-1]["key"] == made["ml_dsa_44"]
    assert made["ed25519"] in shell.ok("log", "keys")
    assert "from position" in shell.ok("log", "replace-key")
    shown = shell.json("log", "keys", "--at", str(made["position"]))
    assert json.loads(shown["event"])["key"] == made["ed25519"]
    assert "c2sp.org/tlog-proof@v1" in shown["proof"]
    assert shell.run("log", "keys", "--at", "1").code == 2


def test_the_operator_names_the_log_when_the_home_is_made(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITHHOLD_ORIGIN", "training.example.com/log")
    shell.ok("account", "put", "ana")
    assert shell.json("log", "show")["origin"] == "training.example.com/log"
    monkeypatch.setenv("WITHHOLD_ORIGIN", "other.example.com/log")
    assert "leave WITHHOLD_ORIGIN out" in shell.run("log", "show").err
    for wrong in ("https://training.example.com", "a b", "x/", "x" * 201, "a+b"):
        monkeypatch.setenv("WITHHOLD_ORIGIN", wrong)
        assert "WITHHOLD_ORIGIN" in shell.run("log", "show").err


def test_the_command_line_keeps_what_it_saw_and_tells_when_it_is_gone(shell: Shell) -> None:
    shell.ok("account", "put", "ana")
    shutil.copytree(shell.home, shell.home.parent / "backup")
    shell.ok("opt-out", "ana")
    assert shell.json("log", "show")["read_only"] is None
    shutil.rmtree(shell.home)
    shutil.copytree(shell.home.parent / "backup", shell.home)  # with the home's own note
    done = shell.run("opt-out", "ana")
    assert done.code == 2
    assert "entries 3 to 4 are missing" in done.err
    shown = shell.run("log", "show", "--json")
    assert shown.code == 0
    assert "are missing" in json.loads(shown.out)["read_only"]
    assert shell.run("export", "chat@1", str(shell.home.parent / "out")).code == 2


def test_commands_show_what_they_append_to_the_witness(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shell.home.parent / "seen"
    monkeypatch.setenv("WITHHOLD_WITNESS", f"file:{path}")
    shell.ok("account", "put", "ana")
    assert len(path.read_bytes().splitlines()) >= 1
    assert shell.json("log", "show")["witnesses"] == {f"file:{path}": 0}
    assert "0 entries behind" in shell.ok("log", "show")
    path.unlink()
    path.mkdir()
    done = shell.run("opt-out", "ana")
    assert done.code == 0  # confirmed; the witness is told of
    assert "cannot be used" in done.err

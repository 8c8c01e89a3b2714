"""``withhold log``: what it prints is what the log says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Shell, failing
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
    assert document == {
        "old": old.size,
        "new": new.size,
        "hashes": [decoded(line).hex() for line in printed],
    }
    assert shell.json("log", "checkpoint")["size"] == new.size
    shown = shell.json("log", "show")
    assert shown["size"] == new.size
    assert f"{new.size} entries" in shell.ok("log", "show")
    assert shell.run("log", "consistency", "3", "99").code == 2
    for sizes in (("0", "2"), ("3", "2")):
        assert "at least 1" in shell.run("log", "consistency", *sizes).err


def _followed(shell: Shell) -> tuple[str, ...]:
    """Write two checkpoints, the proof between them, and the keys; return the words that check them."""
    shell.ok("account", "put", "ana")
    Path("old").write_text(shell.ok("log", "checkpoint"))
    shell.ok("opt-out", "ana")
    shell.ok("account", "put", "bo")
    Path("new").write_text(shell.ok("log", "checkpoint"))
    old, new = (Path(name).read_text().split("\n")[1] for name in ("old", "new"))
    Path("proof").write_text(shell.ok("log", "consistency", old, new))
    Path("proof.json").write_text(shell.ok("log", "consistency", old, new, "--json"))
    Path("log.keys").write_text(shell.ok("keys"))
    return "log", "follow", "old", "new", "proof", "--key", "log.keys"


def test_a_person_checks_that_a_log_only_grew_without_an_installation(shell: Shell) -> None:
    words = _followed(shell)
    shutil.rmtree(shell.home)
    assert "only grew, from 2 entries to" in shell.ok(*words)
    told = shell.json(*["proof.json" if word == "proof" else word for word in words])
    assert [(step["name"], step["holds"]) for step in told["steps"]] == [
        *(("old", True), ("new", True), ("growth", True)),
    ]
    assert not shell.home.exists()


def test_a_log_that_does_not_follow_is_told_by_the_step_that_fails(shell: Shell) -> None:
    words = _followed(shell)
    log, follow, old, new, proof, *key = words
    told = failing(shell, log, follow, new, old, proof, *key)
    assert "step 3 (growth)" in told["error"] and "name the older one first" in told["error"]
    Path("odd").write_text("hello")
    assert "expected hashes" in failing(shell, log, follow, old, new, "odd", *key)["error"]
    Path("none").write_text("")
    for wrong in ("none", "log.keys"):
        assert failing(shell, log, follow, old, new, wrong, *key)["steps"][-1]["name"] == "growth"
    origin, size, *rest = Path("new").read_text().split("\n")
    Path("altered").write_text("\n".join([origin, str(int(size) + 1), *rest]))
    told = failing(shell, log, follow, old, "altered", proof, *key)
    assert "altered, step 2 (new)" in told["error"]
    assert [step["holds"] for step in told["steps"]] == [True, False]
    assert "cannot be read" in failing(shell, log, follow, "absent", new, proof, *key)["error"]


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
    for command in ("audit", "verify"):  # a nightly one must not say that everything holds
        done = shell.run(command, "--json")
        assert done.code == 2
        assert "entries 3 to 4 are missing" in done.err
        found = json.loads(done.out)
        assert found.get("holds", found.get("verified")) is False


def test_commands_show_what_they_append_to_the_witness(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shell.home.parent / "seen"
    monkeypatch.setenv("WITHHOLD_WITNESS", f"file:{path}")
    shell.ok("account", "put", "ana")
    assert len(path.read_bytes().splitlines()) >= 1
    assert shell.json("log", "show")["witnesses"] == {f"file:{path}": 0}
    assert "0 entries behind" in shell.ok("log", "show")
    assert "nothing yet; a file cannot cosign" in shell.ok("log", "show")
    path.unlink()
    path.mkdir()
    done = shell.run("opt-out", "ana")
    assert done.code == 0  # confirmed; the witness is told of
    assert "cannot be used" in done.err


def test_a_witness_that_is_ahead_or_lost_what_it_kept_is_called_that(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, backup = shell.home.parent / "seen", shell.home.parent / "backup"
    name = f"file:{path}"
    monkeypatch.setenv("WITHHOLD_WITNESS", name)
    monkeypatch.setenv("XDG_STATE_HOME", str(shell.home.parent / "state"))
    shell.ok("account", "put", "ana")
    shutil.copytree(shell.home, backup)
    shell.ok("opt-out", "ana")
    newest = shell.json("log", "show")["size"]
    kept = path.read_bytes()
    path.unlink()
    said = shell.run("log", "show").out
    assert f"{name}: what it kept is gone: it had seen {newest} entries and knows of 0" in said
    assert "entries behind" not in said
    path.write_bytes(kept)
    shutil.rmtree(shell.home)
    shutil.rmtree(shell.home.parent / "state", ignore_errors=True)
    shutil.copytree(backup, shell.home)
    said = shell.run("log", "show").out
    assert f"{newest - 2} entries ahead: it has seen {newest}, and this log has 2" in said
    told = json.loads(shell.run("log", "show", "--json").out)
    assert told["witnesses"] == {name: 2 - newest}
    assert "entries ahead" in told["faults"][name]
    path.write_text("a file of somebody else\n")
    assert "not a checkpoint" in shell.run("log", "show").out

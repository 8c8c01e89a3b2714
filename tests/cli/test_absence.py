"""Proofs about datasets on the command line, and what follows a build."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.conftest import Shell, failing
from tests.simulator import rewritten
from withhold.adapters.embedded import open_embedded
from withhold.domain import dataset_proofs
from withhold.domain.names import ProductId
from withhold.services import builds


def test_a_proof_is_made_and_checked_where_there_is_no_home(shell: Shell, tmp_path: Path) -> None:
    _two_people(shell)
    shell.ok("account", "put", "zoe")
    built = shell.json("build", "chat", "--product", "vibe")
    out = tmp_path / "proof.json"
    made = shell.json("prove", "ana", "chat@1", "--out", str(out))
    assert made["present"] is True
    (key,) = made["keys"]
    elsewhere = ("--home", str(tmp_path / "nothing"), "--key", key)
    found = shell.json("verify", str(out), *elsewhere)
    assert found["verified"] is True
    assert (found["account"], found["dataset"], found["present"]) == ("ana", "chat@1", True)
    assert found["is_vacuous"] is False
    assert found["position"] == built["position"] == found["tagged"] - 1
    assert "chat@1 had rows of ana" in shell.ok("verify", str(out), *elsewhere)
    said = shell.ok("verify", str(out))
    assert "had rows of ana" in said, "the home's own keys"
    assert "this ledger has both entries there" in said
    assert (found["in_ledger"], shell.json("verify", str(out))["in_ledger"]) == (False, True)
    assert not (tmp_path / "nothing").exists()
    assert [step["name"] for step in found["steps"]] == list(dataset_proofs.STEPS)[:-1]
    assert all(step["holds"] for step in found["steps"])

    said = shell.ok("prove", "zoe", "chat@1", "--out", str(out), "--force")
    assert "chat@1 had no rows of zoe" in said and f"--key {key}" in said
    assert "had no rows of zoe" in shell.ok("verify", str(out))
    assert shell.json("prove", "zoe", "chat@1") == json.loads(out.read_text(encoding="utf-8"))


def test_without_a_key_and_a_home_who_signed_a_proof_stays_open_and_the_command_fails(
    shell: Shell, tmp_path: Path
) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    out = tmp_path / "proof.json"
    shell.ok("prove", "ana", "chat@1", "--out", str(out))
    nowhere = ("--home", str(tmp_path / "nothing"))
    done = shell.run("verify", str(out), *nowhere)
    assert done.code == 2
    assert "2  --  checkpoint: not checked" in done.out
    assert "7  ok  claim" in done.out
    assert "It would show, once it is known who signed: chat@1 had rows of ana" in done.out
    assert "everything but who signed was checked" in done.err
    told = failing(shell, "verify", str(out), *nowhere)
    assert (told["signed"], told["present"]) == (False, True)
    assert [step["name"] for step in told["steps"] if step["holds"] is None] == ["checkpoint"]
    out.write_text(json.dumps({**json.loads(out.read_bytes()), "account": "ben"}))
    done = shell.run("verify", str(out), *nowhere)
    assert "step 7 (claim)" in done.err, "all else is checked without a key too"
    told = failing(shell, "verify", str(out), *nowhere)
    assert [step["holds"] for step in told["steps"]] == [True, None, *[True] * 4, False]


def test_a_proof_can_be_asked_to_be_about_somebody(shell: Shell, tmp_path: Path) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    out = tmp_path / "proof.json"
    shell.ok("prove", "ana", "chat@1", "--out", str(out))
    assert shell.json("verify", str(out), "--account", "ana")["verified"]
    told = failing(shell, "verify", str(out), "--account", "ben")
    assert "it is about account 'ana', and not about 'ben'" in told["error"]
    assert all(step["holds"] for step in told["steps"])


def test_an_account_opened_after_the_commit_under_an_old_name_is_told_that_and_no_more(
    shell: Shell, tmp_path: Path
) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    shell.ok("prove", "ana", "chat@1", "--out", str(before))
    shell.ok("erase", "ana")
    shell.ok("account", "put", "ana")
    made = shell.json("prove", "ana", "chat@1", "--out", str(after))
    assert made["present"] is None
    for said in (
        shell.ok("prove", "ana", "chat@1", "--out", str(after), "--force"),
        shell.ok("verify", str(after)),
        shell.json("verify", str(after))["shows"],
    ):
        assert "this account ana was opened after chat@1 was committed" in said
        assert "says nothing of an earlier account of that name" in said
        assert "had no rows" not in said
    found = shell.json("verify", str(after))
    assert (found["present"], found["is_vacuous"]) == (None, True)
    assert "chat@1 had rows of ana" in shell.ok("verify", str(before)), "and still says so"


def test_a_proof_is_not_written_over_another_file(shell: Shell, tmp_path: Path) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    kept = tmp_path / "proof.json"
    shell.ok("prove", "ana", "chat@1", "--out", str(kept))
    before = kept.read_bytes()
    shell.ok("prove", "ana", "chat@1", "--out", str(kept))
    done = shell.run("prove", "ben", "chat@1", "--out", str(kept))
    assert done.code == 2
    assert (
        "it is there already and has other content; name another file, or say --force (it names"
        in done.err
    )
    assert kept.read_bytes() == before
    shell.ok("prove", "ben", "chat@1", "--out", str(kept), "--force")
    assert json.loads(kept.read_bytes())["account"] == "ben"


def test_a_proof_that_does_not_hold_is_one_line_and_exit_code_2(
    shell: Shell, tmp_path: Path
) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    document = shell.json("prove", "ana", "chat@1")
    path = tmp_path / "proof.json"
    for wrong in (
        {**document, "present": False},
        {**document, "account": "ben"},
        {**document, "secret": "00" * 32},
        {**document, "more": 1},
    ):
        path.write_text(json.dumps(wrong), encoding="utf-8")
        done = shell.run("verify", str(path))
        assert (done.code, done.err.count("\n")) == (2, 1)
        assert re.search(r"dataset proof, step [1-7] \([a-z]+\): expected", done.err)
    twice = json.dumps(document)[:-1] + ', "present": false}'
    path.write_text(twice, encoding="utf-8")
    assert "twice" in shell.run("verify", str(path)).err
    path.write_text(json.dumps(document)[:-9], encoding="utf-8")
    assert "a proof about a dataset, cut off or altered" in shell.run("verify", str(path)).err
    path.write_text(json.dumps(document), encoding="utf-16")
    assert shell.run("verify", str(path)).code == 2
    path.write_text(json.dumps(document), encoding="utf-8")
    for keys in (["--key", "nonsense"], ["--key", "other+00000000+AAAA"]):
        assert shell.run("verify", str(path), *keys).code == 2
    assert shell.run("prove", "ana", "chat@9").code == 2
    assert "no account 'nobody'" in shell.run("prove", "nobody", "chat@1").err
    assert shell.run("prove", "ana", "chat@1", "--out", str(tmp_path)).code == 2


def test_a_proof_is_held_against_the_ledger_of_the_home(shell: Shell, tmp_path: Path) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    out = tmp_path / "proof.json"
    key = shell.json("prove", "ana", "chat@1", "--out", str(out))["keys"][0]
    other = rewritten(tmp_path / "other", shell.home / "keys.db", *"abcdefgh")
    assert shell.run("verify", str(out), "--key", key, "--home", str(other)).code == 0
    done = shell.run("verify", str(out), "--home", str(other))
    assert done.code == 2
    assert done.out.splitlines()[-1].startswith("7  ok  claim")
    assert (
        "dataset proof, step 8 (ledger): this ledger has another entry, or none, at position"
        in done.err
    )
    (tmp_path / "none.keys").write_text("\n", encoding="utf-8")
    done = shell.run("verify", str(out), "--key", str(tmp_path / "none.keys"))
    assert done.code == 2 and "the file is empty; expected keys of one log" in done.err


def test_a_build_whose_tags_fail_is_committed_and_says_so(shell: Shell) -> None:
    _two_people(shell)
    shell.ok("build", "chat", "--product", "vibe")
    for path in (shell.home / "lake").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-50])
    done = shell.run("build", "chat", "--product", "vibe", "--json")
    assert done.code == 0
    assert json.loads(done.out)["version"] == 2
    assert "chat@2 is committed, its tags were not made" in done.err
    failed = shell.run("audit", "--json")
    assert failed.code == 2
    report = json.loads(failed.out)
    assert (report["holds"], report["untagged"]) == (False, ["chat@2"])
    assert report["first_position"] == min(
        fault["position"] for fault in report["faults"] if fault["position"]
    )
    assert f"position {report['first_position']} is the first" in failed.err


def test_tags_that_were_not_made_are_made_by_a_command(shell: Shell) -> None:
    _two_people(shell)
    with open_embedded(shell.home) as ports:
        builds.build(ports, "chat", ProductId("vibe"))
    assert "chat@1 is not tagged yet" in shell.ok("audit")
    assert shell.json("tag") == {"tagged": 1}
    assert "0 versions tagged" in shell.ok("tag")
    assert shell.json("audit")["untagged"] == []


def _two_people(shell: Shell) -> None:
    for person in ("ana", "ben"):
        shell.ok("account", "put", person)
    shell.ok("import", shell.rows(*(_chat(person) for person in ("ana", "ben"))))


def _chat(person: str) -> dict[str, object]:
    return {
        "id": f"{person}-1",
        "product": "vibe",
        "kind": "conversation",
        "account": person,
        "messages": [{"role": "user", "content": f"hello from {person}"}],
    }

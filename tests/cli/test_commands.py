"""Every command, for people and as JSON; and what happens when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import withhold
from tests.cli.conftest import Shell, Terminal
from withhold.adapters.imports.checkpoints import FileCheckpoints
from withhold.adapters.imports.files import open_source
from withhold.services.imports import Place


def chat(row: str, account: str, **more: Any) -> dict[str, Any]:
    return {
        "id": row,
        "product": "vibe",
        "kind": "conversation",
        "account": account,
        "messages": [{"role": "user", "content": f"the text of {row}"}],
        **more,
    }


def test_the_walk_by_command_line(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    assert "ben" in shell.ok("account", "put", "ben", "--plan", "vibe=pro")
    imported = shell.json("import", shell.rows(chat("ana-1", "ana"), chat("ben-1", "ben")))
    assert (imported["accepted"], imported["rejected"]) == (2, 0)
    assert shell.json("build", "chat", "--product", "vibe")["admitted"] == 2

    off = shell.json("opt-out", "ana", "--product", "vibe")
    assert (off["allowed"], off["source"]) == (False, "account")

    held = shell.json("where", "ana")["datasets"]
    assert [(d["dataset"], d["rows"]) for d in held] == [("chat@1", 0)]
    assert held[0]["withdrawn"] == [{"position": off["position"], "rows": 1}]
    explained = shell.json("explain", "ana-1")
    assert (explained["admitted"], explained["reason"]) == (False, "account_off")
    assert "chat@1" in shell.ok("where", "ana")
    assert "account off" in shell.ok("explain", "ana-1")
    assert "admitted" in shell.ok("explain", "ben-1")

    second = shell.json("build", "chat", "--product", "vibe")
    assert (second["version"], second["admitted"]) == (2, 1)
    assert shell.json("show", "chat@1")["now"]["admitted"] == 1
    assert "then 2 rows, now 1" in shell.ok("show", "chat@1")
    assert len(shell.json("datasets")["datasets"]) == 2
    assert "chat@2" in shell.ok("datasets")
    assert "Everything holds" in shell.ok("audit")
    assert shell.json("audit")["holds"] is True
    assert shell.json("verify")["verified"] is True


def test_an_account_that_was_opened_off_is_not_said_to_have_chosen(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--opens", "out")
    assert "off, as the account was opened" in shell.ok("status", "ana")
    shell.ok("opt-in", "ana", "--product", "vibe")
    shell.ok("opt-out", "ana", "--product", "vibe")
    assert "vibe: off, the account's own choice" in shell.ok("status", "ana")
    shell.ok("erase", "ana")
    shell.ok("account", "put", "ana", "--opens", "on")
    assert "off, as the account was opened" in shell.ok("status", "ana")


def test_the_switch_for_all_products_and_for_organizations(shell: Shell) -> None:
    shell.ok("organization", "put", "lab", "--name", "Lab", "--plan", "studio=scale")
    shell.ok("account", "put", "ana", "--organization", "lab=admin")
    assert shell.json("status", "lab", "--organization", "--product", "studio")["allowed"] is False
    on = shell.json("opt-in", "lab", "--organization", "--product", "studio")
    assert on["allowed"] is True
    both = shell.json("opt-out", "ana")
    assert {product: each["allowed"] for product, each in both.items()} == {
        "vibe": False,
        "studio": False,
    }
    assert "ana, vibe: off, the account's own choice." in shell.ok("status", "ana")


def test_merged_accounts_are_out_together(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("account", "put", "ana-work", "--plan", "vibe=pro")
    shell.ok("account", "merge", "ana", "ana-work")
    shell.ok("opt-out", "ana-work", "--product", "vibe")
    assert shell.json("status", "ana", "--product", "vibe")["allowed"] is False


def test_deleting(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    rows = [chat("one", "ana"), chat("two", "ana", conversation="c")]
    shell.ok("import", shell.rows(*rows))
    assert shell.json("delete", "interaction", "one") == {"rows": 1}
    assert "1 stored rows" in shell.ok("delete", "conversation", "c", "--product", "vibe")
    assert shell.json("build", "chat", "--product", "vibe", "--dry-run")["admitted"] == 0


def test_exports_hold_what_is_admitted(shell: Shell, tmp_path: Path) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("import", shell.rows(chat("one", "ana")))
    shell.ok("build", "chat", "--product", "vibe")
    target = tmp_path / "out"
    done = shell.json("export", "chat@1", str(target), "--format", "jsonl")
    assert (done["dataset"], done["rows"]) == ("chat@1", 1)
    [shard] = target.glob("part-*.jsonl")
    assert json.loads(shard.read_text())["messages"][0]["content"] == "the text of one"


def test_a_copy_has_its_description_and_card_beside_it(shell: Shell, tmp_path: Path) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("import", shell.rows(chat("one", "ana")))
    shell.ok("build", "chat", "--product", "vibe")
    target = tmp_path / "out"
    shell.ok("export", "chat@1", str(target), "--license", "cc0-1.0", "--creator", "A laboratory")
    described = json.loads((target / "croissant.json").read_text(encoding="utf-8"))
    assert described["license"].endswith("CC0-1.0.html")
    assert described["creator"]["name"] == "A laboratory"
    assert "license: cc0-1.0\n" in (target / "README.md").read_text(encoding="utf-8")
    other = str(tmp_path / "other")
    for wrong in ("nonsense", "LicenseRef-ours", "MIT OR Apache-2.0", "two words", ""):
        refused = shell.run("export", "chat@1", other, "--license", wrong)
        assert (refused.code, (tmp_path / "other").exists()) == (2, False), wrong
        assert "SPDX" in refused.err


def test_builds_and_exports_are_told_as_openlineage_events(shell: Shell, tmp_path: Path) -> None:
    events, target = tmp_path / "events.jsonl", tmp_path / "out"
    told = ("--openlineage", str(events))
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("import", shell.rows(chat("one", "ana")))
    shell.ok("build", "chat", "--product", "vibe", *told)
    shell.ok("export", "chat@latest", str(target), *told)
    assert shell.run("export", "chat@1", str(target), *told).code == 2
    assert shell.run("build", "chat", "--product", "tango", *told).code == 2
    lines = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    assert [(e["job"]["name"], e["eventType"]) for e in lines] == [
        *(("build.chat", "START"), ("build.chat", "COMPLETE")),
        *(("export.chat", "START"), ("export.chat", "COMPLETE")),
        *(("export.chat", "START"), ("export.chat", "FAIL")),
        *(("build.chat", "START"), ("build.chat", "FAIL")),
    ]
    assert len({e["run"]["runId"] for e in lines}) == 4
    built, exported = lines[1]["outputs"][0], lines[3]["outputs"][0]
    assert built["facets"]["version"]["datasetVersion"] == "1"
    assert built["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert (exported["namespace"], exported["name"]) == ("file", str(target))
    assert lines[3]["inputs"][0]["facets"]["version"]["datasetVersion"] == "1"
    decisions = [each["facets"]["withhold_decision"] for each in (built, exported)]
    assert decisions[0]["policyDigest"] == decisions[1]["policyDigest"]
    assert decisions[0]["committedAtPosition"] == decisions[1]["committedAtPosition"]
    assert (
        "expected nothing or an empty folder"
        in lines[5]["run"]["facets"]["errorMessage"]["message"]
    )
    assert "ana" not in events.read_text(encoding="utf-8").replace('"', " ").split()


def test_events_that_cannot_be_written_stop_the_run_before_it_begins(
    shell: Shell, tmp_path: Path
) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    done = shell.run("build", "chat", "--product", "vibe", "--openlineage", str(tmp_path))
    assert (done.code, shell.json("datasets")) == (2, {"datasets": []})
    assert "cannot be appended to" in done.err
    counted = shell.run(
        "build", "chat", "--product", "vibe", "--dry-run", "--openlineage", str(tmp_path / "e")
    )
    assert counted.code == 2
    assert not (tmp_path / "e").exists()


def test_explain_tells_of_history(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("import", shell.rows(chat("one", "ana")))
    assert shell.json("explain", "one")["position"] == 0
    assert "imported as history (position 0), admitted only while" in shell.ok("explain", "one")


def test_explain_tells_of_a_signal(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("import", shell.rows(chat("one", "ana", signals={"content_usage": "train-ai=n"})))
    assert shell.json("explain", "one")["reason"] == "refusing_signal"
    assert "the person's browser refused training" in shell.ok("explain", "one")
    assert "Global Privacy Control" in shell.ok("policy", "show")


def test_other_peoples_rows_are_imported_by_a_mapping(shell: Shell, tmp_path: Path) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    path = tmp_path / "theirs.jsonl"
    path.write_text(
        json.dumps({"user": "ana", "messages": [{"role": "user", "content": "hi"}]}) + "\n"
    )
    mapped = ("--map", "account=user", "--set", "product=vibe")
    assert shell.json("import", str(path), *mapped)["accepted"] == 1


def test_rejected_lines_of_an_import_are_named(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    out = shell.ok("import", shell.rows(chat("one", "ana"), chat("two", "nobody")))
    assert "1 accepted" in out
    assert "line 2" in out


def test_policy_commands(shell: Shell, tmp_path: Path) -> None:
    before = shell.json("policy", "show")
    assert not shell.home.exists()
    assert [product["id"] for product in before["products"]] == ["vibe", "studio"]
    assert "Allow your interactions to be used to train our models" in shell.ok("policy", "show")
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    assert shell.json("policy", "show") == before
    shipped = Path(__file__).parents[2] / "src/withhold/policies/default.toml"
    assert shell.json("policy", "check", str(shipped))["valid"] is True
    assert shell.json("policy", "adopt", str(shipped)) == {"adopted": False, "position": None}
    changed = tmp_path / "policy.toml"
    changed.write_text(shipped.read_text().replace('version = "', 'version = "next-', 1))
    assert shell.json("policy", "adopt", str(changed))["adopted"] is True
    changed.write_text("version = \n")
    refused = shell.run("policy", "check", str(changed))
    assert (refused.code, refused.out) == (2, "")
    assert "line 1" in refused.err


def test_a_token_is_shown_once(shell: Shell) -> None:
    made = shell.json("token", "create", "--scope", "capture,preferences")
    assert made["scopes"] == ["capture", "preferences"]
    again = shell.json("token", "create", "--scope", "capture", "--scope", "preferences,build")
    assert again["scopes"] == ["build", "capture", "preferences"], "not the last one alone"
    assert made["token"].startswith("wh_")
    everything = b"".join(p.read_bytes() for p in shell.home.rglob("*") if p.is_file())
    assert made["token"].encode() not in everything
    assert shell.run("token", "create", "--scope", "root").code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("opt-out", "nobody"), "no account 'nobody'"),
        (("opt-out", "nobody", "--product", "tango"), "tango"),
        (("where", "nobody"), "no account 'nobody'"),
        (("explain", "nothing"), "no interaction"),
        (("show", "chat@9"), "chat@9"),
        (("show", "chat"), "name@version"),
        (("build", "Chat", "--product", "vibe"), "Chat"),
        (("build", "chat", "--product", "tango"), "tango"),
        (("build", "chat"), "--product"),
        (("export", "chat@1", "out", "--format", "csv"), "csv"),
        (("import", "absent.jsonl"), "absent.jsonl"),
        (("account", "put", "x", "--plan", "free"), "name=value"),
        (("account", "put", "x", "--organization", "lab=owner"), "owner"),
        (("delete", "interaction", "nothing"), "no such interaction"),
        (("verify", "absent.json"), "absent.json"),
        (("bench", "nothing"), "nothing"),
        (("nothing",), "nothing"),
        (("serve", "--listen", "here"), "host:port"),
    ],
)
def test_errors_are_one_line_on_stderr_and_exit_code_2(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    done = shell.run(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("withhold: ")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_without_an_installation_reading_says_how_to_make_one(shell: Shell) -> None:
    done = shell.run("status", "ana")
    assert done.code == 2
    assert "withhold up" in done.err
    assert not shell.home.exists()


def test_no_id_can_move_a_cursor(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    shell.ok("import", shell.rows(chat("\x1b[2Jgone", "ana")))
    out = shell.ok("explain", "\x1b[2Jgone")
    assert "\x1b" not in out
    assert "\\x1b[2Jgone" in out


def test_people_are_told_when_a_command_makes_an_installation(shell: Shell) -> None:
    made = shell.run("token", "create", "--scope", "build", err=Terminal())
    assert made.err == f"withhold: made a new installation in {shell.home}\n"
    assert shell.run("token", "create", "--scope", "build", err=Terminal()).err == ""


def test_the_version_is_told(shell: Shell) -> None:
    assert shell.ok("--version") == f"withhold {withhold.__version__}\n"


def test_an_import_that_goes_on_says_where(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    file = shell.rows(*(chat(f"r{n}", "ana") for n in range(3)))
    source = open_source(Path(file), None)
    first = Path(file).read_bytes().index(b"\n") + 1
    FileCheckpoints(shell.home / "imports").put(source.fingerprint, Place(first, 2))
    assert "Went on at line 2, where it was interrupted.\n2 accepted" in shell.ok("import", file)
    assert "Went on" not in shell.ok("import", file)


def test_an_account_is_erased_for_ever(shell: Shell) -> None:
    shell.ok("account", "put", "ana")
    erased = shell.json("erase", "ana")
    assert erased["purged"]
    assert f"position {erased['position']}" in shell.ok("erase", "ana")
    assert shell.run("status", "ana").code == 2
    shell.ok("account", "put", "ana", "--opens", "on")
    assert not shell.json("status", "ana")["vibe"]["allowed"]
    shell.ok("verify")


def test_an_opt_out_of_every_product_is_one_change(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    off = shell.json("opt-out", "ana")
    assert {each: said["allowed"] for each, said in off.items()} == {"vibe": False, "studio": False}
    first, second = sorted(said["position"] for said in off.values())
    assert second == first + 1
    assert shell.json("status", "ana") == off


def test_status_names_what_decides_and_an_opt_in_what_it_waits_for(shell: Shell) -> None:
    shell.ok("organization", "put", "acme", "--name", "Acme", "--plan", "studio=free")
    shell.ok("account", "put", "ana", "--organization", "acme=member")
    off = shell.json("opt-out", "acme", "--organization", "--product", "studio")
    said = shell.ok("opt-in", "ana", "--product", "studio")
    assert f"off, the organization's choice. Confirmed {off['confirmed_at']} at position" in said
    assert f"recorded at position {off['position'] + 1}, and counts as soon as that lets it" in said
    assert shell.json("status", "ana", "--product", "studio")["position"] == off["position"]


def test_reasons_of_an_import_are_told_once(shell: Shell) -> None:
    shell.ok("account", "put", "ana", "--plan", "vibe=free")
    rows = [chat(f"r{n}", "nobody") for n in range(150)] + [chat("fine", "ana")]
    told = shell.ok("import", shell.rows(*rows))
    assert told.count("no such account") == 1
    assert "line 1 (and 99 more lines): account" in told
    assert "and 50 more lines that were rejected" in told


def test_names_that_cannot_be_addressed_and_groups_of_one_are_refused(shell: Shell) -> None:
    assert "may not be . or .." in shell.run("account", "put", "..").err
    shell.ok("account", "put", "ana")
    assert "two accounts or more" in shell.run("account", "merge", "ana", "ana").err
    twice = shell.run("account", "put", "ana", "--plan", "vibe=free", "--plan", "vibe=pro")
    assert "'vibe' is given two plans" in twice.err
    assert "nope" in shell.run("seal", "--product", "nope").err


def test_tokens_are_listed_and_revoked(shell: Shell) -> None:
    shell.ok("account", "put", "ana")
    assert "There are no tokens" in shell.ok("token", "list")
    made = shell.json("token", "create", "--scope", "build", "--name", "nightly")["token"]
    shell.ok("token", "create", "--scope", "audit", "--name", "auditor")
    listed = shell.json("token", "list")["tokens"]
    assert [(each["name"], each["scopes"]) for each in listed] == [
        ("auditor", ["audit"]),
        ("nightly", ["build"]),
    ]
    assert made not in shell.ok("token", "list")
    assert "Revoked" in shell.ok("token", "revoke", listed[1]["id"])
    assert [each["name"] for each in shell.json("token", "list")["tokens"]] == ["auditor"]
    assert "there is none" in shell.run("token", "revoke", listed[1]["id"]).err
    assert (
        "at most 100" in shell.run("token", "create", "--scope", "audit", "--name", "x" * 101).err
    )

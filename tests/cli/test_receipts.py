"""Receipts on the command line, with and without an installation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Shell, failing
from withhold.adapters.signing import SeedSigner
from withhold.domain.canonical_json import canonical
from withhold.domain.notes import SignatureType


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


def test_the_receipt_of_a_public_entry_says_nothing_of_a_person(shell: Shell, issued: str) -> None:
    shell.ok("receipt", "1", "policy.json")
    of_nobody = shell.json("verify", "policy.json")["does_not_prove"]
    of_ana = shell.json("verify", "receipt.json")["does_not_prove"]
    assert "That whoever shows this is who it names." in of_ana
    assert not any("whoever" in each or "chosen" in each for each in of_nobody)
    assert of_nobody[-1] == of_ana[-1]


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
        assert ("a redacted receipt" in done.err) is (file == "shown.json")
        told = failing(shell, "verify", file, "--account", account)
        assert [step["name"] for step in told["steps"]][-1] == "ledger"


def test_receipts_are_printed_and_written_in_every_form(shell: Shell, issued: str) -> None:
    assert shell.ok("receipt", issued).encode() == Path("receipt.json").read_bytes()
    for name, begins in (("a.pdf", b"%PDF"), ("a.html", b"<!doctype html>")):
        assert shell.ok("receipt", issued, name) == f"Wrote {name}.\n"
        assert Path(name).read_bytes().startswith(begins)
    assert shell.ok("verify", "--page", "verify.html") == "Wrote verify.html.\n"
    assert shell.json("verify", "--page", "verify.html") == {"file": "verify.html"}
    assert "connect-src" in Path("verify.html").read_text()
    assert shell.json("keys")["keys"] == Path("log.keys").read_text().split()


def altered(name: str, **members: object) -> str:
    """Write a receipt with other members, in its form; return the name of the file."""
    document = json.loads(Path(name).read_bytes())
    Path("altered.json").write_bytes(canonical({**document, **members}))
    return "altered.json"


def test_a_check_that_fails_shows_what_held_before_and_is_one_document_as_well(
    shell: Shell, issued: str
) -> None:
    proof = json.loads(Path("receipt.json").read_bytes())["proof"]
    lines = proof.split("\n")
    broken = "\n".join([*lines[:2], f"{'A' * 43}=", *lines[3:]])
    file = altered("receipt.json", proof=broken)
    done = shell.run("verify", file, "--key", "log.keys")
    assert [line[:5] for line in done.out.splitlines()] == ["1  ok", "2  ok", "3  ok", "4  ok"]
    assert "step 5 (place)" in done.err
    told = failing(shell, "verify", file, "--key", "log.keys")
    assert [(step["name"], step["holds"]) for step in told["steps"]] == [
        *(("form", True), ("statement", True), ("record", True), ("checkpoint", True)),
        ("place", False),
    ]
    file = altered("shown.json", proof=broken)
    for words, checked in ((("--key", "log.keys"), True), (("--home", "nowhere"), None)):
        told = failing(shell, "verify", file, *words)
        assert [step["holds"] for step in told["steps"]] == [True, True, None, checked, False]
        assert told["steps"][2]["said"].startswith("not in this form")
    told = failing(shell, "verify", "absent.json")
    assert told["steps"] == []


def test_a_step_that_a_redacted_receipt_does_not_have_is_neither_held_nor_failed(
    shell: Shell, issued: str
) -> None:
    told = shell.json("verify", "shown.json", "--key", "log.keys")
    assert [step["holds"] for step in told["steps"]] == [True, True, None, True, True, True]
    assert told["steps"][2]["said"].startswith("not in this form")
    told = failing(shell, "verify", "receipt.json", "--home", "nowhere")
    assert [step["holds"] for step in told["steps"]] == [True, True, True, None, True, None]


def test_the_whole_ledger_is_held_against_the_keys_that_are_named(
    shell: Shell, issued: str
) -> None:
    (key,) = Path("log.keys").read_text().split()
    assert key in shell.ok("verify", "--key", "log.keys")
    assert shell.json("verify", "--key", key)["signed_by"] == [key]
    assert "signed_by" not in shell.json("verify")
    shell.ok("log", "replace-key")
    shell.ok(
        "verify", "--key", "log.keys"
    )  # both keys sign the tree that ends with the replacement
    shell.ok("opt-in", "ana", "--product", "vibe")
    told = failing(shell, "verify", "--key", "log.keys")
    assert "none of these keys" in told["error"] and "/log/keys" in told["error"]
    Path("log.keys").write_text(shell.ok("keys"))
    assert shell.json("verify", "--key", "log.keys")["verified"]
    assert "no such file" in failing(shell, "verify", "--key", "nonsense")["error"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--account", "ana"), "name its FILE"),
        (("--page", "a.html", "--key", "log.keys"), "uses nothing of --key"),
        (("receipt.json", "--page", "a.html"), "uses nothing of FILE"),
        (("--page", "a.html", "--account", "ana", "--home", "x"), "nothing of --account, --home"),
    ],
)
def test_words_that_mean_nothing_together_are_refused(
    shell: Shell, issued: str, words: tuple[str, ...], told: str
) -> None:
    done = shell.run("verify", *words)
    assert done.code == 2
    assert told in done.err
    assert not Path("a.html").exists()


def test_a_receipt_is_not_written_over_another_file(shell: Shell, issued: str) -> None:
    kept = Path("receipt.json").read_bytes()
    done = shell.run("receipt", "1", "receipt.json")
    assert done.code == 2
    assert "receipt.json: it is there already and has other content" in done.err
    assert "say --force (it names the newest checkpoint" in done.err
    assert Path("receipt.json").read_bytes() == kept
    assert shell.ok("receipt", issued, "receipt.json") == "Wrote receipt.json.\n", "the same again"
    shell.ok("receipt", "1", "receipt.json", "--force")
    assert json.loads(Path("receipt.json").read_bytes())["position"] == 1
    assert "has other content" in shell.run("verify", "--page", "receipt.json").err


def test_a_receipt_is_given_as_one_document(shell: Shell, issued: str) -> None:
    for words, form in (((), "full"), (("--redacted",), "redacted")):
        told = shell.json("receipt", issued, f"{form}.pdf", *words)
        assert told == {"position": int(issued), "file": f"{form}.pdf", "form": form}
    assert shell.json("receipt", issued) == json.loads(Path("receipt.json").read_bytes())


def test_a_receipt_of_another_log_names_both_logs(shell: Shell, issued: str) -> None:
    key = str(SeedSigner("other.example", SignatureType.ED25519, bytes(32)).key)
    done = shell.run("verify", "receipt.json", "--key", key)
    log = Path("log.keys").read_text().partition("+")[0]
    assert f"it is of the log '{log}', and the keys are those of 'other.example'" in done.err
    assert f"a key of the log '{log}' is needed" in done.err


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "this file is empty; it is neither a receipt nor a proof"),
    "a.txt": (b"hello\n", "neither a receipt nor a proof"),
    "a.bin": (bytes(range(256)), "neither a receipt nor a proof"),
    "list.json": (b"[1]", "this is JSON, and neither a receipt nor a proof"),
    "v9.json": (
        b'{"format": "withhold/dataset-proof/v9"}',
        "its format is 'withhold/dataset-proof/v9'",
    ),
    "cut.json": (b'{"event":"{', "expected a receipt in its one form"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_receipt_is_called_what_it_is(shell: Shell, name: str) -> None:
    data, told = FILES[name]
    Path(name).write_bytes(data)
    assert told in failing(shell, "verify", name)["error"]


def test_other_files_of_ours_are_told_from_a_receipt(shell: Shell, issued: str) -> None:
    shell.ok("receipt", issued, "a.pdf")
    shell.ok("receipt", issued, "a.html")
    Path("checkpoint").write_text(shell.ok("log", "checkpoint"))
    document = json.loads(Path("receipt.json").read_bytes())
    Path("anew.json").write_text(json.dumps(document, indent=2))
    Path("marked.json").write_bytes(b"\xef\xbb\xbf" + Path("receipt.json").read_bytes())
    for name, told in (
        ("a.pdf", "this is a PDF; the receipt is the attached receipt.json"),
        ("a.html", "this is a page to read"),
        ("log.keys", "a file of keys, for --key"),
        ("checkpoint", "a signed checkpoint"),
        ("anew.json", "it was saved anew by another program"),
        ("marked.json", "it was saved anew by another program"),
    ):
        assert told in shell.run("verify", name, "--key", "log.keys").err, name
    assert (
        "expected a receipt in its one form"
        in shell.run("verify", altered("receipt.json", more=1)).err
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("verify", "absent.json"), "cannot be read"),
        (("verify", "log.keys"), "step 1 (form)"),
        (("verify", "receipt.json", "--key", "nonsense"), "no such file, and it is no key"),
        (("verify", "receipt.json", "--key", ""), "--key: it is empty"),
        (("verify", "receipt.json", "--key", "a+b+c"), "the key is mistyped or cut: expected"),
        (("verify", "receipt.json", "--key", "a+b+" + "A" * 5000), "the key is mistyped or cut"),
        (("verify", "receipt.json", "--key", "receipt.json"), "the key is mistyped or cut"),
        (("verify", "receipt.json", "--key", "empty"), "keys of one log"),
        (("verify", "some/where/absent.json"), "some/where/absent.json: cannot be read"),
        (("receipt", "1", "a.docx"), "ends in .json, .pdf or .html"),
        (("receipt", "99999"), "no entry 99999: the ledger has 1 to 3"),
        (("receipt", "0"), "no entry 0: the ledger has 1 to 3"),
        (("receipt", "abc"), "no entry abc: the ledger has 1 to 3"),
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

"""Other people's programs check the signature of a receipt: openssl by the documented commands, joserfc."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import OKPKey

from tests.house.tree import ROOT
from tests.issued import full, provider, redacted, sign_up, turn
from withhold.domain.canonical_json import canonical
from withhold.services import log, receipts

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
BLOCK = re.compile(r"<!-- openssl -->\n```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ports = provider()
    sign_up(ports, 'ana "quoted" \\ and, "jws":"x"')  # what a careless search would find
    off = turn(ports, 'ana "quoted" \\ and, "jws":"x"')
    (tmp_path / "receipt.json").write_bytes(full(ports, off.receipt))
    (tmp_path / "shown.json").write_bytes(redacted(ports, off.receipt))
    (tmp_path / "log.keys").write_text("".join(f"{key}\n" for key in receipts.keys(ports)))
    return tmp_path


def recipe(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the documented commands in a folder."""
    found = BLOCK.search((ROOT / "docs" / "receipts.md").read_text(encoding="utf-8"))
    assert found is not None
    script = "set -euo pipefail\n" + found[1]
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


@needs_openssl
@pytest.mark.parametrize("name", ["receipt.json", "shown.json"])
def test_openssl_checks_the_signature_by_the_documented_commands(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "receipt.json")
    done = recipe(folder)
    assert "Signature Verified Successfully" in done.stdout, done.stderr
    file = folder / "receipt.json"
    document = json.loads(file.read_bytes())
    header, payload, signature = document["jws"].split(".")
    letter = "B" if payload[100] == "A" else "A"
    payload = payload[:100] + letter + payload[101:]
    file.write_bytes(canonical({**document, "jws": f"{header}.{payload}.{signature}"}))
    done = recipe(folder)
    assert done.returncode != 0
    assert "Signature Verification Failure" in done.stdout


@needs_openssl
def test_openssl_finds_the_key_that_signed_after_a_key_was_replaced(tmp_path: Path) -> None:
    ports = provider()
    sign_up(ports, "ana")
    off = turn(ports, "ana")
    old = full(ports, off.receipt)
    log.replace_key(ports)
    new = full(ports, turn(ports, "ana", allowed=True).receipt)
    keys = receipts.keys(ports)
    assert len(keys) == 2
    for key, each in zip(keys, (old, new), strict=True):
        assert f'"kid":"{"+".join(key.split("+")[:2])}"' in header(each)
    (tmp_path / "log.keys").write_text("".join(f"{key}\n" for key in keys))
    for each in (old, new):
        (tmp_path / "receipt.json").write_bytes(each)
        done = recipe(tmp_path)
        assert "Signature Verified Successfully" in done.stdout, done.stderr
    (tmp_path / "log.keys").write_text(f"{keys[0]}\n")
    assert recipe(tmp_path).returncode != 0, "the key that signed is not there"


def header(receipt: bytes) -> str:
    """Return the header of the statement in a receipt."""
    text = str(json.loads(receipt)["jws"]).partition(".")[0]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


@pytest.mark.parametrize("name", ["receipt.json", "shown.json"])
def test_joserfc_checks_the_signature(folder: Path, name: str) -> None:
    key = (folder / "log.keys").read_text().split("+", 2)[2]
    public = base64.b64decode(key)[1:]
    x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    okp = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})
    text = json.loads((folder / name).read_bytes())["jws"]
    opened = jws.deserialize_compact(text, okp, algorithms=["Ed25519"])
    assert opened.headers()["alg"] == "Ed25519"
    assert json.loads(opened.payload)["withhold:facts"]["kind"] == "opted_out"
    other = OKPKey.generate_key("Ed25519", private=False)
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(text, other, algorithms=["Ed25519"])

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
from withhold.domain.ledger import canonical
from withhold.services import receipts

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


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("name", ["receipt.json", "shown.json"])
def test_openssl_checks_the_signature_by_the_documented_commands(folder: Path, name: str) -> None:
    found = BLOCK.search((ROOT / "docs" / "receipts.md").read_text(encoding="utf-8"))
    assert found is not None
    (folder / name).rename(folder / "receipt.json")
    script = "set -euo pipefail\n" + found[1]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False
        )

    done = run()
    assert "Signature Verified Successfully" in done.stdout, done.stderr
    file = folder / "receipt.json"
    document = json.loads(file.read_bytes())
    header, payload, signature = document["jws"].split(".")
    letter = "B" if payload[100] == "A" else "A"
    payload = payload[:100] + letter + payload[101:]
    file.write_bytes(canonical({**document, "jws": f"{header}.{payload}.{signature}"}))
    done = run()
    assert done.returncode != 0
    assert "Signature Verification Failure" in done.stdout


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

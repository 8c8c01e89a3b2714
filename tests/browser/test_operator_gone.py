"""What a person took from the console holds when the provider's machine is gone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.faces import CONSOLE
from tests.browser.site import VIBE, site
from tests.e2e.server import WITHHOLD
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId
from withhold.services import builds, capture, receipts, tagging

pytestmark = pytest.mark.slow
VERSION = "chat@4"


def kept(page: Page, link: str, folder: Path, name: str) -> Path:
    """Press a link of the page and keep what it gives."""
    with page.expect_download() as download:
        page.get_by_role("link", name=link).first.click()
    file = folder / name
    download.value.save_as(file)
    return file


def verify(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*WITHHOLD, "verify", *map(str, words)]
    environment = {"PATH": "", "HOME": str(folder), "WITHHOLD_HOME": str(folder / "none")}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )


def test_a_receipt_and_a_proof_of_absence_outlive_whoever_gave_them(
    tmp_path: Path, visit: Visit
) -> None:
    home, mine = tmp_path / "home", tmp_path / "mine"
    mine.mkdir()
    with site(home) as provider:
        ana, bo = provider.account("ana", vibe="free"), provider.account("bo", vibe="free")
        visitor = visit(provider, ana, CONSOLE)
        visitor.turn_it_off()
        visitor.page.get_by_role("link", name="Receipt").first.click()
        receipt = kept(visitor.page, "Keep the file", mine, "receipt.json")
        position = provider.status(ana).position
        message = (Message("user", "a sentence of bo's"),)
        row = Interaction("r1", VIBE, InteractionKind.CONVERSATION, AccountId(bo), message)
        capture.capture(provider.ports, [row])
        for _ in range(4):
            builds.build(provider.ports, "chat", VIBE)
        tagging.tag_all(provider.ports)
        visitor.page.goto(f"{provider.address}/console/data")
        proof = kept(visitor.page, f"Proof about {VERSION}", mine, "proof.json")
        key = receipts.keys(provider.ports)[0]
        visitor.page.context.close()
    shutil.rmtree(home)

    checked = verify(mine, receipt, "--key", key, "--account", ana)
    assert checked.returncode == 0, checked.stderr
    for words in ("turned off", ana, f"{position:,}"):
        assert words in checked.stdout
    absent = verify(mine, proof, "--key", key)
    assert absent.returncode == 0, absent.stderr
    assert f"{VERSION} had no rows of {ana}" in absent.stdout
    assert verify(mine, receipt, "--key", key, "--account", bo).returncode != 0
    assert verify(mine, receipt).returncode != 0  # nobody says whose signature it is

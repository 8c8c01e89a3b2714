"""Somebody in front of the page that checks receipts and proofs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from playwright.sync_api import Page, expect

from withhold.domain import receipts as files
from withhold.domain.receipts import Document

GIVE_EACH = """async (files) => {
  const [input, result] = [document.getElementById("file"), document.getElementById("result")];
  const found = [];
  for (const file of files) {
    const given = new DataTransfer();
    given.items.add(new File([Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0))], "r.json"));
    result.dataset.verdict = "";
    input.files = given.files;
    input.dispatchEvent(new Event("change"));
    while (!["holds", "fails", "unsigned", "unchecked"].includes(result.dataset.verdict)) {
      await new Promise((done) => setTimeout(done));
    }
    const step = /Step ([0-9]) /.exec(result.textContent);
    // the command has one word for both: what was given does not check
    const isRefused = ["fails", "unchecked"].includes(result.dataset.verdict);
    found.push(isRefused ? `fails at ${step?.[1]}` : result.dataset.verdict);
  }
  return found;
}"""


class Checker:
    """Somebody in front of the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.result = page.locator("#result")

    def open(self, address: str, key: str | None = None) -> Checker:
        self.page.goto(address)
        expect(self.page.locator("html[data-ready]")).to_be_attached()
        if key is not None:
            self.page.get_by_label("Key, one a line").fill(key)
        return self

    def choose(self, document: Document | bytes, name: str = "receipt.json") -> str:
        """Choose a file and return the verdict."""
        data = document if isinstance(document, bytes) else files.encoded(document)
        self.page.evaluate("document.getElementById('result').dataset.verdict = ''")
        self.page.get_by_label("Choose the file").set_input_files(
            {"name": name, "mimeType": "application/json", "buffer": data}
        )
        return self.verdict()

    def verdict(self) -> str:
        shown = self.page.locator("#result:is([data-verdict=holds],[data-verdict=fails],"
                                  "[data-verdict=unsigned],[data-verdict=unchecked])")  # fmt: skip
        expect(shown).to_be_attached()
        return str(shown.get_attribute("data-verdict"))

    def give_each(self, given: Iterable[bytes]) -> list[str]:
        """Choose files one after another; return the verdict of each, with the step that failed."""
        texts = [base64.b64encode(data).decode() for data in given]
        said: list[str] = self.page.evaluate(GIVE_EACH, texts)
        return said

    def differences(
        self, cases: Sequence[tuple[str, bytes]], said: Sequence[str]
    ) -> dict[str, tuple[str, str]]:
        """Return the cases, by name, of which the page says another thing than was said before."""
        pages = self.give_each(data for _, data in cases)
        return {
            name: (page, other)
            for (name, _), page, other in zip(cases, pages, said, strict=True)
            if page != other
        }

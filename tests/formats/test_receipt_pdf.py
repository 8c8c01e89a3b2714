"""The PDF of a receipt: what it does not prove is a list, and a command can be copied."""

from __future__ import annotations

import re
import zlib

import pytest

from tests import forged
from withhold.domain import receipts
from withhold.formats import receipt_pdf
from withhold.formats.receipt_words import told


def drawn(data: bytes) -> list[str]:
    """Return every text of a PDF in the order in which it is drawn."""
    page = re.search(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    assert page is not None
    texts = re.findall(rb"g \((.*?)(?<!\\)\) Tj", zlib.decompress(page[1]))
    return [re.sub(rb"\\(.)", rb"\1", each).decode("latin-1") for each in texts]


@pytest.fixture
def texts() -> list[str]:
    document = forged.receipt()
    return drawn(receipt_pdf.pdf(document, [str(forged.SIGNER.key)]))


def test_every_line_of_what_it_does_not_prove_has_a_bullet(texts: list[str]) -> None:
    begins, ends = texts.index("What it does not prove"), texts.index("How to check it")
    lines = texts[begins + 1 : ends]
    words = told(receipts.read(forged.receipt()))
    assert lines == [part for each in words.does_not for part in ("·", each)]


def test_the_command_stands_on_a_line_of_its_own(texts: list[str]) -> None:
    assert "withhold verify receipt.json --key KEY" in texts


def test_the_title_is_said_once_with_the_date_below_it(texts: list[str]) -> None:
    words = told(receipts.read(forged.receipt()))
    assert texts[0] == words.title
    assert texts[1].startswith(words.at)
    assert texts.count(words.title) == 1
    assert "What" not in texts

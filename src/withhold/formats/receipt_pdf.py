"""A receipt as a PDF to keep: the words for people, and the receipt's file inside it as an attachment.

The attachment is the receipt, byte for byte; the page around it is not checked by anybody and says so.
Built-in fonts are used, which know western letters: of others the code point is shown, and the file inside
has them as they are.

Not here: the words (`receipt_words`), the page of the browser (`web.receipt_page`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from withhold.domain import receipts
from withhold.domain.receipts import Document
from withhold.formats.receipt_words import key_shown, told

if TYPE_CHECKING:
    from fpdf import FPDF

NAME = "receipt.json"

_FONT = "helvetica"
_NAMES_MM = 34  # the column of names
_GREY, _BLACK = 95, 20
_BULLET, _BULLET_MM = "\N{MIDDLE DOT}", 4
_LEADING = 0.55  # millimetres of line for a point of type
_COMMAND = f"withhold verify {NAME} --key KEY"
_ATTACHED = (
    f"The file {NAME} is attached to this document. Save it; then, without the provider and without a "
    "network:"
)
_OR = (
    "Or open, in a browser, the page that withhold verify --page verify.html writes. This page here is "
    "for reading: what counts is the file."
)
_KEY = (
    "KEY is the log's public key, which was as below when this document was made. Compare it with one "
    "that you have from elsewhere."
)


def pdf(document: Document, keys: Iterable[str]) -> bytes:
    """Return a receipt as a PDF with its file attached.

    Args:
        document: the receipt.
        keys: the log's public keys, as verifier keys; the one that signed is shown.

    Raises:
        VerificationError: it is not a receipt.
    """
    from fpdf import FPDF  # noqa: PLC0415 (slow to import, and few commands draw)

    found = receipts.read(document)
    words = told(found)
    page = FPDF(format="A4")
    # not the time of drawing: the same receipt gives the same bytes
    page.set_creation_date(datetime.fromtimestamp(found.facts.recorded_at // 1000, UTC))
    page.set_title(_western(words.title))
    page.set_lang("en")
    page.set_margin(20)
    page.add_page()
    _paragraph(page, words.title, 16, "B")
    _paragraph(page, f"{words.at}, position {found.position:,}", 9, grey=True)
    page.ln(4)
    for name, value in words.plain:
        _line(page, name, value)
    _heading(page, "What it proves")
    _paragraph(page, words.proves, 9)
    _heading(page, "What it does not prove")
    for each in words.does_not:
        _item(page, each)
    _check(page, key_shown(found.key_id, keys))
    _heading(page, "Technical")
    for name, value in words.technical:
        _line(page, name, value)
    page.embed_file(
        bytes=receipts.encoded(document),
        basename=NAME,
        desc="The receipt: this file is what counts",
        mime_type="application/json",
    )
    return bytes(page.output())


def _line(page: FPDF, name: str, value: str) -> None:
    page.set_font(_FONT, "", 9)
    page.set_text_color(_GREY)
    page.cell(_NAMES_MM, 5.5, name)
    page.set_text_color(_BLACK)
    page.multi_cell(0, 5.5, _western(value), new_x="LMARGIN", new_y="NEXT", align="L")


def _check(page: FPDF, keys: Iterable[str]) -> None:
    _heading(page, "How to check it")
    _paragraph(page, _ATTACHED, 9)
    page.ln(1)
    _paragraph(page, _COMMAND, 9, font="courier")
    page.ln(1)
    _paragraph(page, _OR, 9)
    _paragraph(page, _KEY, 9)
    page.ln(1)
    for key in keys:
        _paragraph(page, key, 8, font="courier")


def _heading(page: FPDF, text: str) -> None:
    page.ln(4)
    _paragraph(page, text, 11, "B")


def _item(page: FPDF, text: str) -> None:
    """Write a line of a list, so that a fragment is not read as a statement."""
    page.set_font(_FONT, "B", 12)
    page.set_text_color(_BLACK)
    page.cell(_BULLET_MM, 9 * _LEADING, _BULLET)
    page.set_font(_FONT, "", 9)
    page.multi_cell(0, 9 * _LEADING, _western(text), new_x="LMARGIN", new_y="NEXT", align="L")


def _paragraph(
    page: FPDF, text: str, points: int, style: str = "", font: str = _FONT, *, grey: bool = False
) -> None:
    page.set_font(font, style, points)
    page.set_text_color(_GREY if grey else _BLACK)
    page.multi_cell(0, points * _LEADING, _western(text), new_x="LMARGIN", new_y="NEXT", align="L")


def _western(text: str) -> str:
    return "".join(c if ord(c) < 256 else f"[U+{ord(c):04X}]" for c in text)

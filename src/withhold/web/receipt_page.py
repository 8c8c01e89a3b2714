"""A receipt to print and to hand out: its page, and one way to answer it as file, page or PDF.

The console, the mobile application and the API give receipts by `given` alone, so that the same receipt
looks the same everywhere. Whose receipt somebody may have is decided before.

Not here: making receipts (`services.receipts`), their words (`formats.receipt_words`).
"""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Response

from withhold.domain import receipts
from withhold.domain.receipts import Document
from withhold.domain.statements import Form
from withhold.errors import InputError
from withhold.formats import receipt_pdf
from withhold.formats.receipt_words import key_shown, told
from withhold.web.verify_page import PAGES, SECURITY, file, policy_of

JSON, HTML, PDF = "application/json", "text/html", "application/pdf"
KINDS = {"json": JSON, "html": HTML, "pdf": PDF}


def given(
    document: Document, keys: Sequence[str], kind: str = "json", back: str = ""
) -> Response[bytes]:
    """Return a receipt as a response.

    Args:
        document: the receipt.
        keys: the log's public keys (`services.receipts.keys`); the one that signed it is shown.
        kind: ``json`` for the file itself, byte for byte, ``html`` for the page, ``pdf``.
        back: the address of the history that the page leads back to, empty for none.

    Raises:
        InputError: there is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"receipt: expected one of {', '.join(KINDS)}, got {kind[:20]!r}")
    found = receipts.read(document)
    form = "" if found.facts.form == Form.FULL else "-redacted"
    name = f"receipt-{found.position}{form}.{kind}"
    headers = {
        **SECURITY,
        "Cache-Control": "no-store",
        "Content-Disposition": f'{"inline" if kind == "html" else "attachment"}; filename="{name}"',
        "Vary": "Accept",
    }
    if kind == "pdf":
        data = receipt_pdf.pdf(document, keys)
    elif kind == "html":
        data = _rendered(document, keys, back=back).encode()
    else:
        data = receipts.encoded(document)
    return Response(data, media_type=KINDS[kind], headers=headers)


def alone(document: Document, keys: Sequence[str]) -> str:
    """Return the page of a receipt as one file."""
    return _rendered(document, keys, style=file("receipts.css"))


def _rendered(document: Document, keys: Sequence[str], *, style: str = "", back: str = "") -> str:
    found = receipts.read(document)
    return PAGES.get_template("receipt.html").render(
        told=told(found),
        number="" if style else found.position,  # alone, it lies beside no other form of itself
        position=f"{found.position:,}",
        is_redacted=found.facts.form != Form.FULL,
        keys=key_shown(found.key_id, keys),
        back=back,
        style=style,
        policy=policy_of(style) if style else "",
    )

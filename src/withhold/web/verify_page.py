"""The page that checks receipts and proofs in a browser alone, served and as one file to keep.

Both are one template, one script and one style; the file has them inside, each allowed by its hash. The
policy of both forbids every connection, so that no file can leave the page.

Not here: checking itself (`static/receipts/check.js` and `dataset.js`; `domain.receipts` and
`domain.dataset_proofs`), the words (`receipt_words`, `proof_words`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response, get
from litestar.params import FromPath

from withhold.formats import proof_words, receipt_words
from withhold.services import receipts
from withhold.web.auth import ports_of
from withhold.web.routes import off_loop

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_FILES = {"verify.js": "text/javascript", "receipts.css": "text/css"}
_PARTS = {"verify.js": ("check.js", "dataset.js", "page.js")}  # one: a page on a disk loads none
PAGES = Environment(
    loader=PackageLoader("withhold.web"), autoescape=True, undefined=StrictUndefined
)


@get("/verify")
async def get_verify(request: Request[Any, Any, Any]) -> Response[str]:
    """Give the page, with the log's keys of now in it; no token is needed."""
    keys = await off_loop(receipts.keys, ports_of(request))
    headers = {**SECURITY, "Cache-Control": "no-store"}
    return Response(_rendered(keys), media_type="text/html", headers=headers)


@get("/verify/{name:str}", sync_to_thread=False)
def get_verify_file(name: FromPath[str]) -> Response[bytes]:
    """Give the script or the style of the page, and of the printed receipt."""
    if name not in _FILES:
        return Response(b"", status_code=404, media_type="text/plain", headers=dict(SECURITY))
    headers = {**SECURITY, "Cache-Control": "public, max-age=300"}
    return Response(file(name).encode(), media_type=_FILES[name], headers=headers)


def alone() -> str:
    """Return the page as one file that works from a disk; the key is entered there."""
    return _rendered((), alone=("verify.js", "receipts.css"))


def file(name: str) -> str:
    """Return the script or the style."""
    folder = resources.files("withhold.web") / "static" / "receipts"
    parts = _PARTS.get(name, (name,))
    return "".join((folder / part).read_text(encoding="utf-8") for part in parts)


def policy_of(style: str, script: str | None = None) -> str:
    """Return the policy of a page that has its style, and its script if it has one, inside."""
    allowed = "" if script is None else f" script-src {_hash(script)};"
    return (
        f"default-src 'none';{allowed} style-src {_hash(style)}; connect-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _rendered(keys: Sequence[str], alone: tuple[str, str] | None = None) -> str:
    script, style = (file(name) for name in alone) if alone else ("", "")
    # a data block ends at the first "</": no word of ours may hold one
    words = json.dumps({**receipt_words.WORDS, "proof": proof_words.WORDS}).replace("<", "\\u003c")
    return PAGES.get_template("verify.html").render(
        keys=keys,
        words=words,
        script=script,
        style=style,
        policy=policy_of(style, script) if alone else "",
    )

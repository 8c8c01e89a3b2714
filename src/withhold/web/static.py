"""The pages' own files: every address holds the hash of their content, so that browsers may keep them.

One digest over all files stands in every address, and files name each other relatively, so a changed font
changes the address of the style sheet that names it. Text is compressed once, when the program starts;
pages themselves are never compressed, because they hold the secret of their forms.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from litestar import Request, Response, get
from litestar.params import FromPath

FOREVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=300"  # an address without the hash, or with that of another release

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
_TEXT = frozenset({".css", ".js", ".svg"})
_SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served.

    Attributes:
        packed: the content compressed by gzip, None when that does not help.
    """

    media_type: str
    content: bytes
    packed: bytes | None


@dataclass(frozen=True, slots=True)
class Statics:
    """All files, and the digest that stands in their addresses."""

    digest: str
    files: Mapping[str, StaticFile]


@cache
def statics() -> Statics:
    """Return the files of this release."""
    files = dict(sorted(_walk(resources.files("withhold.web") / "static", "")))
    digest = hashlib.sha256()
    for name, file in files.items():
        digest.update(f"{name}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return Statics(digest.hexdigest()[:12], files)


def address(name: str) -> str:
    """Return the address of a file, which changes with the content.

    Raises:
        KeyError: there is no such file.
    """
    known = statics()
    _ = known.files[name]
    return f"/static/{known.digest}/{name}"


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, StaticFile]]:
    for each in folder.iterdir():
        suffix = "." + each.name.rpartition(".")[2]
        if each.is_dir():
            yield from _walk(each, f"{prefix}{each.name}/")
        elif suffix in _TYPES:
            content = each.read_bytes()
            packed = gzip.compress(content, 9, mtime=0) if suffix in _TEXT else None
            yield prefix + each.name, StaticFile(_TYPES[suffix], content, packed)


@get("/static/{path:path}", sync_to_thread=False)
def get_static(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    """Give one of the pages' own files."""
    known = statics()
    first, _, rest = str(path).lstrip("/").partition("/")
    is_hashed = first == known.digest
    file = known.files.get(
        rest if is_hashed or rest in known.files else f"{first}/{rest}".strip("/")
    )
    if file is None:
        return Response(b"", status_code=404, media_type="text/plain", headers=dict(_SECURITY))
    headers = {**_SECURITY, "Cache-Control": FOREVER if is_hashed else BRIEFLY}
    content = file.content
    if file.packed is not None:
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = file.packed
            headers["Content-Encoding"] = "gzip"
    return Response(content, media_type=file.media_type, headers=headers)

"""JSON Web Signatures in the one form that receipts have: compact, Ed25519, four members in the header.

    base64url(header) "." base64url(payload) "." base64url(signature)

    header     {"alg":"Ed25519","cty":"ld+json","kid":"NAME+key id in hex","typ":T}, as canonical JSON
    signature  over the ASCII bytes before the second dot

The key is the log's own. A text that is signed here is base64url and one dot, without a newline; a
checkpoint has at least three newlines. So no signature of one can ever be shown as that of the other.

Invariant: one statement has one form. A header with anything else in it, padding, or base64url that is
not the shortest form of its bytes is refused.

Source: RFC 7515, sections 3.1 and 7.1; RFC 8037 and RFC 9864 for the algorithm.
Not here: what a payload says (`statements`), which key may sign (`receipts`).
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import NamedTuple

from withhold.domain.canonical_json import canonical, parsed
from withhold.domain.notes import NoteKey, encoded
from withhold.errors import VerificationError

SIGNATURE_BYTES = 64
MAX_HEADER = 1024
_KEY_ID = re.compile(r"[!-~]{1,255}", re.ASCII)


class Unsigned(NamedTuple):
    """A header and a payload, ready to be signed.

    Attributes:
        header: in base64url.
        payload: in base64url.
    """

    header: str
    payload: str

    @property
    def message(self) -> bytes:
        """The bytes that are signed; never those of a checkpoint."""
        return f"{self.header}.{self.payload}".encode("ascii")

    def signed(self, signature: bytes) -> str:
        """Return the whole with a signature over `message`."""
        return f"{self.header}.{self.payload}.{_encoded(signature)}"


class Jws(NamedTuple):
    """A signed payload in its parts; nothing of it is checked yet but its form.

    Attributes:
        key_id: which key is said to have signed, as `key_id` names it.
        type: what kind of statement the payload is.
        message: the bytes that are signed.
    """

    key_id: str
    type: str
    payload: bytes
    message: bytes
    signature: bytes


def key_id(key: NoteKey) -> str:
    """Return how a header names a key: the first two parts of its verifier key."""
    return f"{key.name}+{key.id.hex()}"


def unsigned(key: NoteKey, kind: str, payload: bytes) -> Unsigned:
    """Return a payload with its header, for a key to sign."""
    return Unsigned(_encoded(_header(key_id(key), kind)), _encoded(payload))


def parse(text: str) -> Jws:
    """Return a signed payload in its parts.

    Raises:
        VerificationError: it is not of the one form.
    """
    first, _, rest = text.partition(".")
    middle, dot, last = rest.partition(".")
    if not dot or "." in last:
        raise VerificationError("expected three parts with dots between them")
    if len(first) > MAX_HEADER:
        raise VerificationError(f"expected a header of at most {MAX_HEADER} characters")
    kid, kind = _named_in(first)
    payload, signature = _decoded(middle), _decoded(last)
    if len(signature) != SIGNATURE_BYTES:
        raise VerificationError(f"expected a signature of {SIGNATURE_BYTES} bytes")
    return Jws(kid, kind, payload, text[: -len(last) - 1].encode("ascii"), signature)


@lru_cache(maxsize=64)  # a key signs many
def _named_in(text: str) -> tuple[str, str]:
    """Return the key and the type that a header names."""
    header = _decoded(text)
    try:
        said = parsed(header)
    except VerificationError as error:
        raise VerificationError(f"header: {error}") from None
    kid, kind = said.get("kid"), said.get("typ")
    if not (isinstance(kid, str) and isinstance(kind, str) and _KEY_ID.fullmatch(kid)):
        raise VerificationError("expected a header that names a key and a type")
    if header != _header(kid, kind):
        raise VerificationError("expected a header of alg Ed25519, cty, kid and typ, and no more")
    return kid, kind


def _header(kid: str, kind: str) -> bytes:
    return canonical({"alg": "Ed25519", "cty": "ld+json", "kid": kid, "typ": kind})


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    """Return the bytes of base64url without padding; only one text stands for them."""
    plain = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    try:
        data = binascii.a2b_base64(plain, strict_mode=True)
    except ValueError:  # no base64url, or not even ASCII
        data = b""
    end = len(data) % 3  # bytes in the last letters, which alone could have been written otherwise
    if (
        len(data) * 4 // 3 + bool(end) != len(text)
        or "+" in text
        or "/" in text
        or (end and encoded(data[-end:]) != plain[-4:])
    ):
        raise VerificationError("expected base64url in its one form, without padding")
    return data

"""Signed notes: a text, and below it lines that sign it.

    text, ending in a newline
    empty line
    — NAME base64(key id || signature)          one line or more, each ending in a newline

    key id         SHA-256(name || "\\n" || u8(type) || public key), its first 4 bytes
    verifier key   NAME+hex(key id)+base64(u8(type) || public key)

A key is known by name and id together. The id is short: it tells keys apart and proves nothing.

Invariant: what is parsed has one form only; encoding it again gives the same bytes.

Source: C2SP signed-note, https://c2sp.org/signed-note; RFC 4648, section 4, for base64.
Not here: which message a signature is over, and whether it holds (`checkpoints`).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import NamedTuple, Protocol

from withhold.errors import InputError, VerificationError

MAX_NOTE_BYTES = 128 * 1024  # the largest signature we know, of 3.3 kB in base64, 32 times
MAX_SIGNATURES = 32

_MISTYPED = "key: the key is mistyped or cut"
_ID_BYTES = 4
_DASH = "\N{EM DASH} "
_CONTROL = bytes({*range(32)} - {ord("\n")})
_NOT_IN_NAMES = re.compile(r"[\s+\x00-\x1f\ufeff]")  # spaces of any script, and the one of no width


class SignatureType(IntEnum):
    """What a key signs with; the value is the byte that goes into its id."""

    ED25519 = 0x01  # over the text of the note
    ED25519_COSIGNATURE = 0x04  # a witness, with a time
    ML_DSA_44 = 0x06  # a log or a witness, with a time; holds against quantum computers


PUBLIC_KEY_BYTES: dict[SignatureType, int] = {
    SignatureType.ED25519: 32,
    SignatureType.ED25519_COSIGNATURE: 32,
    SignatureType.ML_DSA_44: 1312,
}


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A public key under a name.

    Attributes:
        name: a URL without a scheme by custom, without spaces and plus signs.
        type: what it signs with.
        public: the public key as its specification writes it.
        id: the 4 bytes that stand in a signature line; they follow from the rest.

    Raises:
        InputError: the name is not one, or the key has another length.
    """

    name: str
    type: SignatureType
    public: bytes
    id: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise InputError(
                "key: its name must not be empty or hold spaces, plus signs or control characters"
            )
        expected = PUBLIC_KEY_BYTES[self.type]
        if len(self.public) != expected:
            raise InputError(f"key: expected {expected} bytes, got {len(self.public)}")
        named = self.name.encode() + b"\n" + bytes((self.type,)) + self.public
        object.__setattr__(self, "id", sha256(named).digest()[:_ID_BYTES])

    def __str__(self) -> str:
        """Return the verifier key: what is handed to those who check."""
        return f"{self.name}+{self.id.hex()}+{encoded(bytes((self.type,)) + self.public)}"


class Verifies(Protocol):
    """Checks a signature over exactly these bytes."""

    def __call__(self, key: NoteKey, message: bytes, signature: bytes, /) -> bool:
        """Return whether the key made the signature; anything malformed is False."""
        ...


class Signs(Protocol):
    """A key that can sign."""

    @property
    def key(self) -> NoteKey:
        """The public key, under its name."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Return the signature over exactly these bytes."""
        ...


class Signature(NamedTuple):
    """One signature line.

    Attributes:
        name: of the key.
        key_id: 4 bytes.
        data: what follows the id; its meaning is that of the key's type.
    """

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        """Return the line, with its newline."""
        return f"{_DASH}{self.name} {encoded(self.key_id + self.data)}\n"


class SignedNote(NamedTuple):
    """A text and the lines that sign it. Nothing is known of it until they were checked."""

    text: str
    signatures: tuple[Signature, ...]

    def __bytes__(self) -> bytes:
        """Return the note as it is served and kept."""
        return "".join((self.text, "\n", *map(str, self.signatures))).encode()


def parse_key(text: str) -> NoteKey:
    """Return the key that a verifier key names.

    Raises:
        InputError: it is not one, or its id is not that of the key.
    """
    name, _, rest = text.partition("+")
    key_id, _, material = rest.partition("+")
    try:
        raw = decoded(material)
        key = NoteKey(name, SignatureType(raw[0]), raw[1:])
    except InputError as error:
        raise InputError(f"{_MISTYPED}: {str(error).removeprefix('key: ')}") from None
    except (VerificationError, ValueError, IndexError):
        raise InputError(
            f"{_MISTYPED}: expected NAME+8 hex digits+base64 of a key of a known type"
        ) from None
    if key.id.hex() != key_id:
        raise InputError(f"{_MISTYPED}: it has the id {key.id.hex()}, and names {key_id[:8]!r}")
    return key


def parse_note(data: bytes) -> SignedNote:
    """Return a note in its parts.

    Raises:
        VerificationError: it is not one, or is over the caps of this module.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise VerificationError(f"note: expected at most {MAX_NOTE_BYTES} bytes, got {len(data)}")
    try:
        note = data.decode()
    except UnicodeDecodeError:
        raise VerificationError("note: expected UTF-8") from None
    if len(data.translate(None, _CONTROL)) != len(data):
        raise VerificationError("note: expected no control characters but newlines")
    end = note.rfind("\n\n") + 1
    if end <= 1:
        raise VerificationError("note: expected a text, an empty line and signatures")
    return SignedNote(note[:end], parse_signatures(note[end + 1 :]))


def parse_signatures(text: str) -> tuple[Signature, ...]:
    """Return signature lines in their parts, at least one.

    Raises:
        VerificationError: something else stands there, or they are too many.
    """
    lines = text.split("\n")
    if lines.pop() or not lines:
        raise VerificationError("note: expected signature lines that end in a newline")
    if len(lines) > MAX_SIGNATURES:
        raise VerificationError(
            f"note: expected at most {MAX_SIGNATURES} signatures, got {len(lines)}"
        )
    return tuple(map(_signature, lines))


def _signature(line: str) -> Signature:
    name, _, data = line.removeprefix(_DASH).partition(" ")
    raw = decoded(data)
    if not line.startswith(_DASH) or not is_name(name) or len(raw) <= _ID_BYTES:
        raise VerificationError("note: expected lines of a dash, a name and a signature")
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def is_name(name: str) -> bool:
    """Return whether a key may be named so."""
    return bool(name) and not _NOT_IN_NAMES.search(name)


def encoded(data: bytes) -> str:
    """Return bytes in base64."""
    return binascii.b2a_base64(data, newline=False).decode()


def decoded(text: str) -> bytes:
    """Return the bytes that a text in base64 stands for; only one text stands for them.

    Raises:
        VerificationError: it is not base64, or not the one form of it.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # not base64, or not even ASCII
        data = b""
    if encoded(data) != text:
        raise VerificationError("expected base64 in its one form, with padding")
    return data

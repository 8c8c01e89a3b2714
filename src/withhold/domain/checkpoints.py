"""Checkpoints: the head of the tree, signed, so that nobody can be shown another one later.

    origin                      which log it is; its key has the same name
    size                        decimal
    base64(root)
    extension lines             none of ours; others may have them

The log signs it with Ed25519, and at times with ML-DSA-44 as well. Witnesses, who have seen that every
tree begins with the one before, add lines of their own with the time at which they saw it.

    type                  message that is signed                                    data in the line
    Ed25519               the text                                                  signature
    Ed25519 cosignature   "cosignature/v1\\ntime T\\n" || the text                    u64(T) || signature
    ML-DSA-44             "subtree/v1\\n\\0" || u8 name || u64(T) || u8 origin         u64(T) || signature
                            || u64(0) || u64(size) || root      (u8: with its length before it)

T is UTC seconds since 1970; it is said by the signer and decides nothing here.

Invariant: fail closed. A line of a known key that does not hold refuses the whole; lines of unknown
keys count for nothing.

Source: C2SP tlog-checkpoint, tlog-cosignature and signed-note, https://c2sp.org.
Not here: the arithmetic of signatures (`ports.signing`), whether two heads agree (`tree`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from withhold.domain.notes import (
    NoteKey,
    Signature,
    SignatureType,
    SignedNote,
    Signs,
    Verifies,
    decoded,
    encoded,
    parse_note,
)
from withhold.domain.tree import EMPTY_ROOT, HASH_BYTES, TreeHead
from withhold.errors import InputError, VerificationError

MAX_SIZE = 2**63 - 1
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class Checkpoint(NamedTuple):
    """The head of one log.

    Attributes:
        origin: the name of the log.
        head: size and root.
        extensions: further lines, which say nothing here.
    """

    origin: str
    head: TreeHead
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that is signed, with its last newline."""
        lines = (self.origin, str(self.head.size), encoded(self.head.root), *self.extensions)
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of the log, and the sizes it may sign: a key that was replaced signs no newer tree.

    Attributes:
        key: of type Ed25519 or ML-DSA-44.
        first: the smallest size.
        last: the largest size, None while the key is in use.
    """

    key: NoteKey
    first: int = 0
    last: int | None = None

    def may_sign(self, size: int) -> bool:
        """Return whether a checkpoint of that size may be signed with it."""
        return self.first <= size and (self.last is None or size <= self.last)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom somebody who checks believes; configured, never taken from what is checked.

    Attributes:
        origin: the log.
        log_keys: its keys; one of them must have signed.
        witnesses: keys of witnesses.
        quorum: how many of the witnesses must have signed, at least.
        known: all of these keys, by name and id.

    Raises:
        InputError: two of the keys cannot be told apart.
    """

    origin: str
    log_keys: tuple[LogKey, ...]
    witnesses: tuple[NoteKey, ...] = ()
    quorum: int = 0
    known: Mapping[tuple[str, bytes], NoteKey] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known: dict[tuple[str, bytes], NoteKey] = {}
        for key in (*[each.key for each in self.log_keys], *self.witnesses):
            if known.setdefault((key.name, key.id), key) != key:
                raise InputError(f"keys: two of {key.name!r} have one id; rename one of them")
        object.__setattr__(self, "known", known)


class OpenedCheckpoint(NamedTuple):
    """A checkpoint whose signatures hold.

    Attributes:
        checkpoint: what was signed.
        signed_by: keys of the log.
        witnessed: witnesses, each with the time it gave, UTC seconds since 1970.
    """

    checkpoint: Checkpoint
    signed_by: tuple[NoteKey, ...]
    witnessed: tuple[tuple[NoteKey, int], ...]


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint that a note's text is.

    Raises:
        VerificationError: it is not one.
    """
    lines = text.split("\n")
    if lines.pop() or len(lines) < 3 or not all(lines):
        raise VerificationError("checkpoint: expected lines of origin, size and root, none empty")
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise VerificationError("checkpoint: expected a decimal size in its second line")
    head = TreeHead(int(size), decoded(root))
    if len(head.root) != HASH_BYTES or (head.size == 0 and head.root != EMPTY_ROOT):
        raise VerificationError("checkpoint: expected the root of a tree in its third line")
    return Checkpoint(origin, head, tuple(extensions))


def message(key: NoteKey, checkpoint: Checkpoint, seconds: int) -> bytes:
    """Return the bytes that a key signs.

    Args:
        key: whose type says the form.
        checkpoint: what is signed.
        seconds: UTC seconds since 1970; not used for a plain Ed25519 signature.

    Raises:
        VerificationError: a name is too long for the form.
    """
    if key.type is SignatureType.ED25519:
        return checkpoint.text.encode()
    if key.type is SignatureType.ED25519_COSIGNATURE:
        return f"cosignature/v1\ntime {seconds}\n{checkpoint.text}".encode()
    head = checkpoint.head
    return b"".join(
        (
            b"subtree/v1\n\0",
            _short(key.name),
            seconds.to_bytes(8, "big"),
            _short(checkpoint.origin),
            bytes(8),
            head.size.to_bytes(8, "big"),
            head.root,
        )
    )


def _short(name: str) -> bytes:
    raw = name.encode()
    if len(raw) > 255:
        raise VerificationError(f"checkpoint: expected a name of at most 255 bytes, got {len(raw)}")
    return bytes((len(raw),)) + raw


def signature(signer: Signs, checkpoint: Checkpoint, seconds: int) -> Signature:
    """Sign a checkpoint.

    Args:
        signer: the log's key, or a witness's.
        checkpoint: what is signed. Signing two that do not agree can never be undone.
        seconds: UTC seconds since 1970, for types whose signatures carry a time.
    """
    return line(signer.key, signer.sign(message(signer.key, checkpoint, seconds)), seconds)


def line(key: NoteKey, raw: bytes, seconds: int) -> Signature:
    """Return the line that carries a signature.

    Args:
        key: what was signed with.
        raw: the signature over the `message` of this key and this time.
        seconds: UTC seconds since 1970; not used for a plain Ed25519 signature.
    """
    time = b"" if key.type is SignatureType.ED25519 else seconds.to_bytes(8, "big")
    return Signature(key.name, key.id, time + raw)


def signed(checkpoint: Checkpoint, signers: Iterable[Signs], seconds: int) -> SignedNote:
    """Return a checkpoint with a line of each signer."""
    lines = tuple(signature(signer, checkpoint, seconds) for signer in signers)
    return SignedNote(checkpoint.text, lines)


def opened(note: bytes, trust: Trust, verifies: Verifies) -> OpenedCheckpoint:
    """Check a signed checkpoint and return what it says.

    Args:
        note: the checkpoint as it was served or kept.
        trust: whom the caller believes.
        verifies: checks one signature.

    Raises:
        VerificationError: its form, its origin or a signature does not hold, or too few signed it.
    """
    # 1. the note, and its text, have the one form they can have
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed.text)
    # 2. it is of the log that was asked for
    if checkpoint.origin != trust.origin:
        raise VerificationError(
            f"checkpoint: it is of the log {checkpoint.origin[:100]!r}, and the keys are those of "
            f"{trust.origin!r}; a key of the log {checkpoint.origin[:100]!r} is needed"
        )
    # 3. every line of a known key holds; lines of others count for nothing
    times: dict[tuple[str, bytes], int] = {}
    for line in parsed.signatures:
        named = line.name, line.key_id
        if key := trust.known.get(named):
            times[named] = checked(key, line, checkpoint, verifies, parsed.text)
    # 4. the log itself signed it, with a key that may sign a tree of this size
    signed_by = tuple(
        [
            each.key
            for each in trust.log_keys
            if each.may_sign(checkpoint.head.size) and (each.key.name, each.key.id) in times
        ]
    )
    if not signed_by:
        raise VerificationError(
            f"checkpoint: none of these keys of {trust.origin!r} signed it for size "
            f"{checkpoint.head.size}; the log's key may have been replaced since: see /log/keys, or "
            "fetch /log/keys/N, which leads from an old key to the next"
        )
    # 5. enough witnesses saw it; a line without a time is no statement that they did
    seen = [(key, times.get((key.name, key.id))) for key in trust.witnesses]
    witnessed = tuple([(key, time) for key, time in seen if time])
    if len(witnessed) < trust.quorum:
        raise VerificationError(
            f"checkpoint: expected at least {trust.quorum} witnesses, got {len(witnessed)}"
        )
    return OpenedCheckpoint(checkpoint, signed_by, witnessed)


def opened_or_read(note: bytes, trust: Trust | None, verifies: Verifies) -> OpenedCheckpoint:
    """Check a signed checkpoint like `opened`; where nobody is believed only read it, as signed by nobody.

    Raises:
        VerificationError: as `opened`, or it is not a checkpoint.
    """
    if trust is not None:
        return opened(note, trust, verifies)
    return OpenedCheckpoint(parse_checkpoint(parse_note(note).text), (), ())


def checked(
    key: NoteKey,
    line: Signature,
    checkpoint: Checkpoint,
    verifies: Verifies,
    text: str | None = None,
) -> int:
    """Check one line of a known key; return its time, 0 when it has none.

    The text of the checkpoint need not be written anew where it is at hand: it has one form.
    """
    is_plain = key.type is SignatureType.ED25519
    seconds = 0 if is_plain else int.from_bytes(line.data[:8], "big")
    raw = line.data if is_plain else line.data[8:]
    if seconds > MAX_SIZE or not verifies(
        key, text.encode() if is_plain and text else message(key, checkpoint, seconds), raw
    ):
        raise VerificationError(
            f"checkpoint: expected a signature of {key.name!r} that holds, got one that does not"
        )
    return seconds

"""Proofs about datasets that are not right, or hardly: the command and the page must say the same of each.

All are signed by a log that lies, so that nothing but the rules themselves can refuse them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

from tests import forged
from withhold.domain.absence import (
    EMPTY,
    TAG_BITS,
    Kind,
    TagProof,
    climbed,
    dataset_id,
    secret_commitment,
    tag_of,
)
from withhold.domain.canonical_json import canonical
from withhold.domain.notes import decoded, encoded

MANIFEST = "11" * 32
TAG = tag_of(forged.SECRET, dataset_id("chat@1", MANIFEST))
ODD: tuple[Any, ...] = (None, "", "x", 0, 1, -1, True, 2**53 - 1, [], {}, "\ud800", "constructor")
TAGGING: dict[str, Any] = {
    "commit": 1,
    "dataset": "chat@1",
    "kind": "dataset_tagged",
    "manifest": MANIFEST,
    "v": 1,
}
OPENED: dict[str, Any] = {
    "kind": "account_opened",
    "sequence": 1,
    "subject": "ana",
    "tag_secret": secret_commitment(forged.SECRET).hex(),
    "v": 1,
}


def all_cases() -> Iterator[tuple[str, bytes]]:
    """Return every file with a name for it."""
    for name, document in (*_ways(), *_events(), *_forms(), *_tag_proofs(), *_places()):
        yield name, text_of(document)
    yield from _texts()


def text_of(document: object) -> bytes:
    """Return JSON as the command writes it, halves of characters as escapes."""
    raw = json.dumps(document, ensure_ascii=False, indent=2)
    return raw.replace("\ud800", "\\ud800").encode() + b"\n"


def proof(tag: TagProof | None = None, **changes: object) -> dict[str, Any]:
    """Return a proof that holds, of a tree of which the tag's proof is true, with some members changed."""
    tag = tag or TagProof(Kind.PRESENT, ())
    tagging = canonical({**TAGGING, "root": climbed(TAG, tag).hex()})
    made = forged.dataset_proof(tagging, canonical(OPENED))
    made |= {"tag_proof": encoded(bytes(tag)), "present": tag.kind is Kind.PRESENT}
    return {**made, **changes}


def _hash(number: int) -> bytes:
    return hashlib.sha256(bytes((number,))).digest()


def _beside(shared: int) -> bytes:
    """Return a tag that shares so many bits with the account's, and no more."""
    flipped = int.from_bytes(TAG, "big") ^ (1 << TAG_BITS - 1 - shared)
    return flipped.to_bytes(32, "big")


def _siblings(depth: int) -> tuple[bytes, ...]:
    """Return hashes, every third of them of nothing, never the last."""
    return tuple(
        EMPTY if level % 3 == 1 and level < depth - 1 else _hash(level) for level in range(depth)
    )


def _ways() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return proofs that hold, and each with another claim."""
    for depth in (0, 1, 2, 7, 8, 9, 30, 256):
        ways = [
            TagProof(Kind.PRESENT, _siblings(depth)),
            TagProof(Kind.ABSENT_EMPTY, _siblings(depth)),
        ]
        if depth < TAG_BITS:
            ways += [
                TagProof(Kind.ABSENT_OTHER, _siblings(depth), _beside(shared))
                for shared in (depth, min(depth + 9, 255))
            ]
        for way in ways:
            yield f"{way.kind.name} {depth}", proof(way)
            for claimed in (True, False, None):
                yield f"{way.kind.name} {depth} claimed {claimed}", proof(way, present=claimed)
    for shared in (0, 3):
        other = TagProof(Kind.ABSENT_OTHER, _siblings(4), _beside(shared))
        yield f"another tag that shares {shared} of 4", proof(other)
    yield "the tag itself as another", proof(TagProof(Kind.ABSENT_OTHER, _siblings(4), TAG))
    yield "another account", proof(account="ben")
    yield "another dataset", proof(dataset="chat@2")
    yield "another secret", proof(secret=_hash(1).hex())


def _events() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return proofs of entries that say something else."""
    root = climbed(TAG, TagProof(Kind.PRESENT, ())).hex()
    tagging = {**TAGGING, "root": root}
    for name, value in product(
        tagging, (*(each for each in ODD if each != "\ud800"), 2, root.upper())
    ):
        event = canonical({**tagging, name: value})
        yield f"tagging {name} {value}", forged.dataset_proof(event, canonical(OPENED))
    for name, value in product(OPENED, (*(each for each in ODD if each != "\ud800"), 2)):
        event = canonical({**OPENED, name: value})
        yield f"opened {name} {value}", forged.dataset_proof(canonical(tagging), event)
    for name in tagging:
        event = canonical({each: tagging[each] for each in tagging if each != name})
        yield f"tagging without {name}", forged.dataset_proof(event, canonical(OPENED))
    for name in OPENED:
        event = canonical({each: OPENED[each] for each in OPENED if each != name})
        yield f"opened without {name}", forged.dataset_proof(canonical(tagging), event)
    for event in (b"[]", b"1", b"", b" " + canonical(OPENED), canonical(OPENED)[:-1]):
        yield f"opened {event!r}", forged.dataset_proof(canonical(tagging), event)
        if event:
            yield f"tagging {event!r}", forged.dataset_proof(event, canonical(OPENED))


def _forms() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return documents with members of other types, too many, or too few."""
    whole = proof()
    for name in whole:
        if name != "format":
            yield f"without {name}", {each: whole[each] for each in whole if each != name}
            for value in ODD:
                yield f"{name} {value!r}", {**whole, name: value}
    yield "one more", {**whole, "more": 1}
    for part in ("tagging", "account_entry"):
        for name in whole[part]:
            inner = whole[part]
            less = {each: inner[each] for each in inner if each != name}
            yield f"{part} without {name}", {**whole, part: less}
            for value in ODD:
                yield f"{part} {name} {value!r}", {**whole, part: {**inner, name: value}}
        yield f"{part} and more", {**whole, part: {**whole[part], "more": 1}}


def _tag_proofs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return proofs whose place in the tree is written in another form."""
    way = TagProof(Kind.PRESENT, _siblings(5))
    data = bytes(way)
    marked_empty = bytes((2, 0, 1, 0b10000000)) + EMPTY
    for name, wrong in {
        "nothing": b"",
        "two bytes": data[:2],
        "cut": data[:-1],
        "longer": data + b"\0",
        "kind 3": b"\x03" + data[1:],
        "kind 0 of present": b"\x00" + data[1:],
        "kind 1 of present": b"\x01" + data[1:],
        "an unused mark": data[:3] + bytes((data[3] | 1,)) + data[4:],
        "a mark of nothing": marked_empty,
        "nothing beside the end": bytes((2, 0, 2, 0b10000000)) + _hash(1),
        "257 levels": bytes((2, 1, 1)) + bytes((0xFF,)) * 33 + _hash(1) * 264,
        "65535 levels": bytes((2, 255, 255)),
        "another sibling": data[:-1] + bytes((data[-1] ^ 1,)),
    }.items():
        yield f"tag proof: {name}", proof(way, tag_proof=encoded(wrong))
    yield (
        "tag proof: base64 of another form",
        proof(way, tag_proof=encoded(data).rstrip("=") + "=\n"),
    )


def _places() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return proofs whose entries stand somewhere else, or under something else."""
    whole = proof()
    other = forged.dataset_proof(canonical({**TAGGING, "root": "00" * 32}), canonical(OPENED))
    swapped = {
        "tagging": {**whole["tagging"], "proof": whole["account_entry"]["proof"]},
        "account_entry": {**whole["account_entry"], "proof": whole["tagging"]["proof"]},
    }
    yield "each in the other's place", {**whole, **swapped}
    yield (
        "both of another log",
        {**whole, "tagging": {**whole["tagging"], "proof": other["tagging"]["proof"]}},
    )
    for part, (old, new) in product(
        ("tagging", "account_entry"),
        (
            ("index ", "index 0"),
            ("index ", "index -"),
            ("index ", "extra AAAA\nindex "),
            ("tlog-proof@v1", "tlog-proof@v2"),
            ("\n\n", "\nAAAA\n\n"),
            ("\n\n", "\n" + encoded(_hash(3)) + "\n\n"),
            ("\n2\n", "\n3\n"),
            (forged.LOG, forged.LOG + "x"),
        ),
    ):
        text = whole[part]["proof"].replace(old, new, 1)
        yield f"{part}: {new!r}", {**whole, part: {**whole[part], "proof": text}}
    for old, new in (("\n2\n", "\n3\n"), (forged.LOG, "other"), ("\n\u2014", "\n-"), ("A", "B")):
        both = {
            part: {**whole[part], "proof": _in_note(whole[part]["proof"], old, new)}
            for part in ("tagging", "account_entry")
        }
        yield f"both: {new!r}", {**whole, **both}


def _in_note(text: str, old: str, new: str) -> str:
    path, divider, note = text.partition("\n\n")
    return path + divider + note.replace(old, new, 1)


def _texts() -> Iterator[tuple[str, bytes]]:
    """Return one proof written in other ways."""
    text = text_of(proof())
    compact = json.dumps(proof(), ensure_ascii=False, separators=(",", ":"))
    yield "compact", compact.encode()
    yield "in ASCII", json.dumps(proof(account="\u00e9")).encode()
    yield "escaped", text.replace(b'"account"', b'"\\u0061ccount"')
    yield "with a mark before", b"\xef\xbb\xbf" + text
    yield "with space around", b"\n\t " + text + b"\r\n"
    yield "present twice", text[:-3] + b',\n "present": true\n}\n'
    yield "the format twice", text[:-3] + b',\n "format": "withhold/dataset-proof/v1"\n}\n'
    inner = text.replace(b'"opening"', b'"event": "x",\n    "opening"')
    assert decoded(proof()["tag_proof"]) and inner != text
    yield "an event twice", inner

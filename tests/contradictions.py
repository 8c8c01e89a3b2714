"""Receipts that are not right, or hardly: each must get the same verdict from every checker of ours.

Most are signed by a log that lies, so that nothing but the rules themselves can refuse them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from tests import forged
from withhold.domain import receipts
from withhold.domain.canonical_json import canonical
from withhold.domain.names import Position
from withhold.domain.notes import encoded
from withhold.domain.statements import FACTS, MAX_NUMBER, MAX_TIME

HALF = "\ud800"  # of a character
ODD: tuple[Any, ...] = (None, "", "x", 0, 1, -1, True, 1.5, 2**53, [], {}, HALF, "constructor")

Change = Callable[[dict[str, Any]], object]


def all_cases() -> Iterator[tuple[str, bytes]]:
    """Return every file with a name for it."""
    yield from _shapes()
    yield from _statements()
    yield from _events()
    yield from _headers()
    yield from _files()
    yield from _proofs()


def text_of(value: object) -> bytes:
    """Return JSON in canonical order, halves of characters as escapes, and numbers as they come."""
    raw = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return raw.replace(HALF, "\\ud800").encode()


def _file(document: dict[str, Any]) -> bytes:
    return text_of(document) + b"\n"


def _shapes() -> Iterator[tuple[str, bytes]]:
    """Return receipts whose statement and event agree but for what is named."""
    yield from _choices()
    for form, name, value in product(
        ("full", "redacted"),
        ("holder", "label", "notice", "product", "purpose", "subject", "surface"),
        (None, "", "organization", "service_improvement", '%s \\ "q" \u00e9 \U0001f4a9'),
    ):
        event = canonical({**forged.EVENT, name: value})
        made = forged.receipt(event=event, form=form, **{name: value})
        yield f"{form} {name} {value}", _file(made)
    times = (0, 1, 951_782_400_000, MAX_TIME - 1, MAX_TIME, -1, MAX_NUMBER, True)
    for time, name in product(times, ("recorded_at", "requested_at")):
        event = canonical({**forged.EVENT, name: time})
        said = _with(lambda d, n=name, t=time: d[FACTS].update({n: t}))
        yield f"{name} {time} in the facts alone", _file(forged.receipt(said, event=event))
        if 0 <= time < MAX_TIME:
            yield f"{name} {time}", _file(forged.receipt(event=event, **{name: time}))
            made = forged.receipt(event=event, **{name: int(time)})
            yield f"{name} {time} as a number", _file(made)


def _choices() -> Iterator[tuple[str, bytes]]:
    kinds = ("opted_out", "opted_in", "account_opened", "constructor")
    bases = ("consent", "legitimate_interest", "other", None)
    statuses = (
        None,
        "ConsentGiven",
        "ConsentRefused",
        "ConsentWithdrawn",
        "LegitimateInterestObjected",
        "LegitimateInterestNotObjected",
    )
    for kind, basis, status, before in product(kinds, bases, statuses, ("in", None)):
        event = canonical({**forged.EVENT, "kind": kind, "before": before})
        try:
            made = forged.receipt(event=event, kind=kind, basis=basis, status=status)
        except KeyError:  # no statement can be written of it
            continue
        yield f"{kind} {basis} {status} {before}", _file(made)


def _with(change: Change) -> Callable[[bytes], bytes]:
    """Return what changes a payload."""

    def changed(payload: bytes) -> bytes:
        said = json.loads(payload)
        change(said)
        return text_of(said)

    return changed


def _statements() -> Iterator[tuple[str, bytes]]:
    """Return receipts with each member of the statement changed, taken out, and one put beside it."""
    payloads: list[dict[str, Any]] = []
    forged.receipt(lambda payload: payloads.append(json.loads(payload)) or payload)  # type: ignore[func-returns-value]
    for form in ("full", "redacted"):
        for path in _paths(payloads[0]):
            is_fact = path[0] == FACTS
            for value in (*(ODD if is_fact else ("x", None)), ...):
                said = _with(lambda d, p=path, v=value: _put(d, p, v))
                yield f"{form} {path} {value!r}", _file(forged.receipt(said, form=form))
            said = _with(lambda d, p=(*path[:-1], "zz"): _put(d, p, 1))
            yield f"{form} beside {path}", _file(forged.receipt(said, form=form))
    for name, change in {
        "white space": lambda p: p.replace(b":", b": ", 1),
        "no object": lambda _: b"[]",
        "nothing": lambda _: b"",
        "not UTF-8": lambda p: p.replace(b"Vibe", b"Vib\xff"),
        "a byte order mark": lambda p: b"\xef\xbb\xbf" + p,
        "escaped": lambda p: p.replace(b"Vibe", b"\\u0056ibe"),
        "twice": lambda p: p.replace(b'"label":"Vibe"', b'"label":"Vibe","label":"Vibe"'),
        "other facts first": lambda p: p.replace(b"{", b'{"withhold:facts":{},', 1),
        "deep": lambda _: b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    }.items():
        yield f"statement {name}", _file(forged.receipt(change))
    yield "another form", _file(forged.receipt(_with(lambda d: d[FACTS].update(form="redacted"))))
    for entry in ("", "00", "zz" * 59, "00" * 59):
        yield f"entry {entry[:4]}", _file(forged.receipt(entry=entry))
    right = forged.Entry(canonical(forged.EVENT)).at(2).hex()
    yield "entry in capitals", _file(forged.receipt(entry=right.upper()))
    yield "entry of no class", _file(forged.receipt(entry=f"{right[:-66]}02{right[-64:]}"))
    yield "another position", _file(forged.receipt(position=Position(3)))
    yield "another log", _file(forged.receipt(log="other.example/log"))


def _paths(value: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if above:
        yield above
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*above, name))


def _put(document: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        document = document.get(name, {})
    if value is ...:
        document.pop(path[-1], None)
    else:
        document[path[-1]] = value


def _events() -> Iterator[tuple[str, bytes]]:
    right = canonical(forged.EVENT)
    texts = {
        "white space": right.replace(b":", b": ", 1),
        "a newline": right + b"\n",
        "a float": right.replace(b'"v":1', b'"v":1.0'),
        "a fraction": right.replace(b'"v":1', b'"v":1.5'),
        "minus nothing": right.replace(b'"v":1', b'"v":-0'),
        "no number": right.replace(b'"v":1', b'"v":NaN'),
        "the largest number": right.replace(b'"v":1', b'"v":9007199254740991'),
        "the smallest number": right.replace(b'"v":1', b'"v":-9007199254740991'),
        "too large": right.replace(b'"v":1', b'"v":9007199254740992'),
        "too small": right.replace(b'"v":1', b'"v":-9007199254740992'),
        "far too large": right.replace(b'"v":1', b'"v":' + b"9" * 400),
        "twice": right.replace(b'"v":1', b'"v":1,"v":1'),
        "escaped": right.replace(b'"console"', b'"\\u0063onsole"'),
        "half": right.replace(b'"v":1', b'"v":"\\ud800"'),
        "half a name": right.replace(b'"v":1', b'"v":1,"\\ud800":1'),
        "out of order": right.replace(b"{", b'{"z":1,', 1),
        "more": right.replace(b'"v":1', b'"v":1,"z":[{},[],null,true,""]'),
        **{
            f"{depth} deep around {inner[:3].decode()}": right.replace(
                b'"v":1', b'"v":1,"z":' + b"[" * (depth - 1) + inner + b"]" * (depth - 1)
            )
            for depth in (16, 17, 400, 600, 900)
            for inner in (b"1", b"9007199254740991", b'"9007199254740992"')
        },
        "a prototype": right.replace(b"{", b'{"__proto__":{"kind":"opted_in"},', 1),
        "numbers as names": right.replace(b"{", b'{"10":1,"2":1,', 1),
        "high names": right.replace(b'"v":1', '"v":1,"\uffff":1,"\U0001f4a9":1'.encode()),
        "high names in the other order": right.replace(
            b'"v":1', '"v":1,"\U0001f4a9":1,"\uffff":1'.encode()
        ),
        "signs": text_of({**forged.EVENT, "actor": "\x7f\u2028\ufeff\b\f\x1f/é\U0001f4a9"}),
        "a list": b"[]",
        "null": b"null",
        "nothing": b"",
        "another form of it": right.replace(b'"opted_out"', b'"opted_in"'),
    }
    for name, text in texts.items():
        yield f"event {name}", _file(forged.receipt(event=text))
        yield f"event {name}, public", _file(forged.receipt(event=text, opening=None))
    for name in forged.EVENT:
        for value in ODD:
            changed = text_of({**forged.EVENT, name: value})
            yield f"event {name} {value!r}", _file(forged.receipt(event=changed))
        yield (
            f"event without {name}",
            _file(
                forged.receipt(event=text_of({n: v for n, v in forged.EVENT.items() if n != name}))
            ),
        )


def _headers() -> Iterator[tuple[str, bytes]]:
    document = forged.receipt()
    header, payload, signature = document["jws"].split(".")
    said = json.loads(base64.urlsafe_b64decode(header + "=="))
    body = base64.urlsafe_b64decode(payload + "==")
    for name in (*said, "crit"):
        for value in (*ODD, "withhold-redacted-receipt+jws", "x" * 300):
            text = forged.sign_header(text_of({**said, name: value}), body)
            yield f"header {name} {value!r:.40}", _file({**document, "jws": text})
    for raw in (
        b"",
        b"[]",
        b"null",
        text_of(said) + b" ",
        b"\xff",
        text_of({**said, "a": "x" * 900}),
    ):
        text = forged.sign_header(raw, body)
        yield f"header {raw!r:.20}", _file({**document, "jws": text})
    for text in (
        "", "..", "a.b", "a.b.c.d", f"{header}.{payload}.", f".{payload}.{signature}",
        f"{header}..{signature}", f"{header}.{payload}.{signature}=", f"{header}.{payload}=.{signature}",
        f"{header}.{payload}.{signature[:-1]}", f"{header}.{payload}. {signature}",
        f"{header}.{payload[:-4]}.{signature}", f"{header}.{payload}.{signature[:-1]}+",
        f"{header}.{payload}.{'A' * 86}", f"{header}.{payload}.é",
    ):  # fmt: skip
        yield f"jws {text[:8]}…{text[-8:]}", _file({**document, "jws": text})


def _files() -> Iterator[tuple[str, bytes]]:
    for form in ("full", "redacted"):
        document = forged.receipt(form=form)
        yield f"{form}, right", _file(document)
        for name in (*document, "more"):
            for value in (*ODD, "00" * 32, "AA" * 32, "withhold/receipt/v2"):
                yield f"{form} {name} {value!r:.20}", _file({**document, name: value})
            yield f"{form} without {name}", _file({n: v for n, v in document.items() if n != name})
        data = receipts.encoded(document)
        for number, other in enumerate((
            b"", b"{", b"null", b"[" * 5000, b"[" * 5000 + b"]" * 5000, b"\xff", data + b"\n",
            b" " + data, b"\xef\xbb\xbf" + data, data[:-1], data[:-2], data.replace(b'"', b"'"),
            data.replace(b":", b": ", 1), data.replace(b"withhold/r", b"withhold\\/r", 1),
            b'{"a":' * 5000 + b"1" + b"}" * 5000, data.replace(b"\\n", b"\\u000a", 1),
            data.replace(b"\\n", b"\n", 1), data.replace(b"\\n", b"\\r\\n", 1),
            data.replace(b'"position":2', b'"position":9007199254740992'),
            data.replace(b'"position":2', b'"position":2.0'),
            data.replace(b'"position":2', b'"position":02'),
        )):  # fmt: skip
            yield f"{form} file {number}", other


def _proofs() -> Iterator[tuple[str, bytes]]:
    document = forged.receipt()
    proof: str = document["proof"]
    top, _, note = proof.partition("\n\n")
    text, _, line = note.rpartition("\n\n")
    _, index, node = top.split("\n")
    size = text.split("\n")[1]
    cases = {
        "no note": top + "\n\n",
        "no empty line": top + "\n" + note,
        "another version": proof.replace("@v1", "@v2"),
        "extra": proof.replace("@v1\n", "@v1\nextra aGk=\n"),
        "more nodes": proof.replace(node, f"{node}\n{node}"),
        "no nodes": proof.replace(f"{node}\n", ""),
        "64 nodes": proof.replace(node, "\n".join([node] * 64)),
        "63 nodes": proof.replace(node, "\n".join([node] * 63)),
        "half a node": proof.replace(node, node[:20]),
        "another node": proof.replace(node, encoded(bytes(32))),
        "control": proof.replace(text, text + "\n\ta"),
        "an extension": proof.replace(text, text + "\nmore"),
        "an empty extension": proof.replace(text, text + "\n\nmore"),
        "no signature": proof.replace(line, ""),
        "no newline": proof[:-1],
        "another dash": proof.replace("\u2014 ", "- "),
        "the line twice": proof + line,
        "a line that does not hold": proof + line.replace(line[-8:-2], "AAAAAA"),
        "32 lines": proof + "\u2014 a AAAAAAA=\n" * 31,
        "33 lines": proof + "\u2014 a AAAAAAA=\n" * 32,
        "a long note": proof + "\u2014 a " + "AAAA" * 32_000 + "\n",
        "too long a note": proof + "\u2014 a " + "AAAA" * 33_000 + "\n",
        "a longer proof": proof + "\u2014 a " + "AAAA" * 66_000 + "\n",
        "an id alone": proof + "\u2014 a AAAAAA==\n",
        "size 0": proof.replace(f"\n{size}\n", "\n0\n"),
        "another origin": proof.replace(forged.LOG, "other"),
        "windows": proof.replace("\n", "\r\n"),
    }
    for number in ("0", "2", "01", "-1", "", "9007199254740993", str(2**63 - 1), str(2**63)):
        cases[f"index {number}"] = proof.replace(index, f"index {number}")
        cases[f"size {number}"] = proof.replace(f"\n{size}\n", f"\n{number}\n")
    for space in (" ", "\x85", "\ufeff", "\u2003", "\u180e", "\x1c", "\x7f", "+", "\u200b", "é"):
        cases[f"a name with {space!r}"] = proof + f"\u2014 a{space}b AAAAAAA=\n"
    for name, changed in cases.items():
        assert changed != proof or "size 2" in name, name
        yield f"proof: {name}", _file({**document, "proof": changed})
    data = _file({**document, "proof": f"{proof}\u2014 a\u00ffb AAAAAAA=\n"})
    yield "proof: a name that is not UTF-8", data.replace("\u00ff".encode(), b"\xff")

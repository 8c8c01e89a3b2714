"""Lines of a TOML document: where a key or a table stands.

The standard parser reports lines for faults of syntax only. For faults of meaning this module walks
a document that is *known to parse*, statement by statement, and notes the line each path first
appears on. It reads no values: strings, brackets and comments are only stepped over, and the names
in keys and headers are read by the standard parser itself, so that escapes have one interpretation.

Not here: keys inside inline tables and arrays; they stand on the line of the statement they are in.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

TomlPath = tuple[str | int, ...]
"""Names of keys and 0-based places in arrays of tables, from the root."""

# What can hide a bracket, an equals sign or a line's end comes first.
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}=\n]",
    re.DOTALL,
)
_DEPTH = 8  # steps of a path that are noted; a hostile dotted key may have thousands


def line_of(document: str, path: TomlPath) -> int:
    """Return the 1-based line of a path, or of the nearest table around it; 0 for the root.

    Args:
        document: text that parses as TOML.
        path: what to look for; it need not be there.
    """
    lines = _lines(document)
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return 0


def _lines(document: str) -> dict[TomlPath, int]:
    lines: dict[TomlPath, int] = {}
    last: dict[TomlPath, int] = {}  # arrays of tables -> place of their latest element
    table: TomlPath = ()
    for line, head in _statements(document):
        if head.startswith("["):
            table = _enter(head, last)
            path = table
        else:
            path = table + _names(head + "= 0")
        for length in range(1, min(len(path), _DEPTH) + 1):
            lines.setdefault(path[:length], line)
    return lines


def _statements(document: str) -> Iterator[tuple[int, str]]:
    """Yield line and head of each statement: a whole header, or a key before its equals sign."""
    line, start, depth = 1, 0, 0
    head = ""
    for token in _TOKEN.finditer(document + "\n"):
        mark = token[0]
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
            if not depth and not head and mark == "]":
                head = document[start : token.end()].strip()
        elif mark == "=" and not depth and not head:
            head = document[start : token.start()].strip()
        elif mark == "\n" and not depth:
            if head:
                yield line, head
            line += document.count("\n", start, token.end())
            start, head = token.end(), ""


def _enter(header: str, last: dict[TomlPath, int]) -> TomlPath:
    """Return the path of the table that a header opens, and note a new element of an array."""
    is_element = header.startswith("[[")
    path: TomlPath = ()
    names = _names(header)
    for place, name in enumerate(names, start=1):
        path = (*path, name)
        if is_element and place == len(names):
            last[path] = last.get(path, -1) + 1
        if path in last:
            path = (*path, last[path])
    return path


def _names(statement: str) -> tuple[str, ...]:
    """Return the dotted names of one header or one ``key = 0``."""
    names: list[str] = []
    value: object = tomllib.loads(statement)
    while isinstance(value, dict | list) and value:
        if isinstance(value, list):
            value = value[0]
            continue
        name = next(iter(value))
        names.append(name)
        value = value[name]
    return tuple(names)

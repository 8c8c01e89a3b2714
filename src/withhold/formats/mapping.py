"""Column mappings: other people's rows as interactions.

    --map account=user_id,messages=conversation   a field of ours from a column of theirs
    --set product=vibe,kind=conversation          a field that is the same in every row

``messages`` are read in the Hugging Face shape, a list of ``role`` and ``content``; further keys of a
message are left out. Whole numbers as ids become text. Rows without an id get one from the file's
fingerprint and their line, so that importing the file again finds them.

Not here: reading files (`adapters.imports`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from withhold.domain.interactions import MAX_ROW_BYTES, Interaction, Rejected
from withhold.errors import InputError
from withhold.formats.interactions import WireInteraction, from_values

FIELDS = WireInteraction.__struct_fields__
_NAMES = ("id", "account", "organization", "conversation", "project", "api_key", "about")
_OBJECT = msgspec.json.Decoder(dict[str, object])


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Where each field of an interaction comes from.

    Attributes:
        columns: column by field.
        constants: value by field, the same in every row.
    """

    columns: Mapping[str, str]
    constants: Mapping[str, str]

    def canonical(self) -> str:
        """Return a text that is the same for the same mapping."""
        return repr((sorted(self.columns.items()), sorted(self.constants.items())))

    def row(self, values: Mapping[str, object], line: int, prefix: str) -> Interaction | Rejected:
        """Return a row of theirs as an interaction.

        Args:
            values: value by column.
            line: its number.
            prefix: what ids begin with when the mapping names none.
        """
        fields: dict[str, object] = {"id": f"{prefix}:{line}", **self.constants}
        for field, column in self.columns.items():
            value = values.get(column)
            if value is not None:
                fields[field] = _value(field, value)
        if _size(fields.get("messages")) > MAX_ROW_BYTES:
            return Rejected(line, f"messages: expected at most {MAX_ROW_BYTES} bytes in a row")
        return from_values(fields, line)


def parse_mapping(columns: str, constants: str = "") -> ColumnMapping:
    """Return the mapping that ``field=column,…`` and ``field=value,…`` state.

    Raises:
        InputError: not of that form, an unknown field, one named twice, or one that is missing.
    """
    by_column = {"messages": "messages", **_pairs(columns, "--map")}
    by_value = {"kind": "conversation", **_pairs(constants, "--set")}
    if "kind" in by_column:
        del by_value["kind"]
    twice = by_column.keys() & by_value.keys()
    if twice:
        raise InputError(f"mapping: {', '.join(sorted(twice))} named by --map and by --set")
    missing = {"account", "product"} - by_column.keys() - by_value.keys()
    if missing:
        raise InputError(
            f"mapping: {', '.join(sorted(missing))} is missing; "
            "for example --map account=user_id --set product=vibe"
        )
    return ColumnMapping(by_column, by_value)


def decode_mapped(
    line: bytes, number: int, mapping: ColumnMapping, prefix: str
) -> Interaction | Rejected:
    """Decode one line of somebody else's JSON lines."""
    if len(line) > MAX_ROW_BYTES:
        return Rejected(number, f"row: expected at most {MAX_ROW_BYTES} bytes")
    try:
        values = _OBJECT.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return Rejected(number, "row: not valid JSON; expected one JSON object in UTF-8")
    return mapping.row(values, number, prefix)


def _pairs(text: str, option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in filter(None, (p.strip() for p in text.split(","))):
        field, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not value or field not in FIELDS or field in found:
            raise InputError(
                f"{option} {pair[:80]!r}: expected field=value, each field once, of "
                f"{', '.join(FIELDS)}"
            )
        found[field] = value
    return found


def _value(field: str, value: object) -> object:
    if field == "messages" and isinstance(value, list):
        return [_message(m) for m in value]
    if field in _NAMES and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _message(message: object) -> object:
    if not isinstance(message, dict):
        return message
    return {key: message[key] for key in ("role", "content") if key in message}


def _size(messages: object) -> int:
    """Return how many characters the texts of messages have together."""
    if not isinstance(messages, list):
        return 0
    return sum(
        len(m["content"])
        for m in messages
        if isinstance(m, dict) and isinstance(m.get("content"), str)
    )

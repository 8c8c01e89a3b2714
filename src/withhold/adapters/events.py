"""A file of events: one JSON document a line, appended, on disk before the next step."""

from __future__ import annotations

import json
import os
from pathlib import Path

from withhold.domain.canonical_json import Json
from withhold.errors import StorageError


class EventFile:
    """Appends events. Several processes may append to one file: a line is written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, event: dict[str, Json]) -> None:
        """Append one event; it is on disk when this returns.

        Raises:
            StorageError: the file cannot be opened, or the disk refused.
        """
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                written = os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._refused(error.strerror or type(error).__name__) from error
        if written != len(line):
            raise self._refused("it took only a part of the line")

    def _refused(self, why: str) -> StorageError:
        return StorageError(f"events: {self._path.name} cannot be appended to: {why}")

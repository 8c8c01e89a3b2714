"""Places of imports, one small file each in the home, replaced by rename."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from withhold.errors import StorageError
from withhold.services.imports import Place

_PLACE = msgspec.json.Decoder(Place)


class FileCheckpoints:
    """`Checkpoints` in a folder, which is made when first needed."""

    def __init__(self, folder: Path) -> None:
        """Keep the folder, for example ``imports`` in the home."""
        self._folder = folder

    def get(self, fingerprint: str) -> Place | None:
        """Return where to go on; a damaged note means from the start, which is harmless."""
        try:
            return _PLACE.decode(self._path(fingerprint).read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        except OSError as error:
            raise _refused(error) from error

    def put(self, fingerprint: str, place: Place) -> None:
        """Note where to go on, durably."""
        path = self._path(fingerprint)
        fresh = path.with_suffix(".new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(place))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise _refused(error) from error

    def clear(self, fingerprint: str) -> None:
        """Forget an import."""
        try:
            self._path(fingerprint).unlink(missing_ok=True)
        except OSError as error:
            raise _refused(error) from error

    def _path(self, fingerprint: str) -> Path:
        return self._folder / f"{fingerprint}.json"


def _refused(error: OSError) -> StorageError:
    return StorageError(
        f"import: its place cannot be kept: {error.strerror}; run it again, rows met twice are harmless"
    )

"""What was last seen of the log, in a small file outside of its database, replaced by rename."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from withhold.errors import StorageError, VerificationError
from withhold.ports import Seen
from withhold.services.log import said


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: the checkpoint as text, and by name what each witness had seen."""

    checkpoint: str
    witnesses: dict[str, int] = {}


_decode = msgspec.json.Decoder(_Kept).decode


class FileLooks:
    """Implements `ports.Looks` over one file, whose folder is made when first needed."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._path = path

    def last(self) -> Seen | None:
        try:
            kept = _decode(self._path.read_bytes())
            seen = Seen(kept.checkpoint.encode(), kept.witnesses)
            said(seen.checkpoint)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._path.name}: {error.strerror}") from error
        except (msgspec.DecodeError, VerificationError) as error:
            raise VerificationError(
                f"{self._path.name}: expected the checkpoint that was seen last, it is damaged; if you "
                "know why, remove it"
            ) from error
        return seen

    def keep(self, seen: Seen) -> None:
        fresh = self._path.with_suffix(f".{os.getpid()}")
        kept = _Kept(seen.checkpoint.decode(), dict(seen.witnesses))
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(kept))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StorageError(f"{self._path.name}: {error.strerror}") from error

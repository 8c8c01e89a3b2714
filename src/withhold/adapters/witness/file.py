"""A witness that is a file on other storage: one line for each checkpoint it was shown, never changed.

A line is the checkpoint as a JSON string. The file is synced before the answer. A last line without its end
was cut off by a crash and counts for nothing; anything else that is not a checkpoint is a fault. Where it
is the only line, it has to begin as a line of this log does: a file of somebody else is left as it is.

It cannot sign and does not keep others out: whoever can write to it can shorten it. So it belongs on
storage that the ledger's backups do not hold and its administrators cannot write, and the home remembers
how much it had seen.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from withhold.domain.checkpoints import Checkpoint, parse_checkpoint
from withhold.domain.notes import Signature, SignedNote, parse_note
from withhold.domain.witnesses import Prove, follows, forgot
from withhold.errors import VerificationError, WitnessSilent

TAIL_BYTES = 64 * 1024  # holds the last lines of any such file


class FileWitness:
    """Implements `ports.Witness` over a file that is only appended to."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when something is first shown."""
        self._path = path
        self.name = f"file:{path}"

    def show(self, note: bytes, prove: Prove, had: int) -> Sequence[Signature]:
        parsed = parse_note(note)
        checkpoint = parse_checkpoint(parsed.text)
        try:
            with self._locked() as file:
                before, end = self._last(file, checkpoint.origin)
                self._remembers(before, had)
                if before is not None:
                    follows(before, checkpoint, prove)
                if before is None or checkpoint.head != before.head:
                    line = bytes(SignedNote(parsed.text, parsed.signatures[:1]))
                    self._append(file, end, json.dumps(line.decode()).encode() + b"\n")
        except OSError as error:
            raise WitnessSilent(f"{self.name}: it cannot be used ({error.strerror})") from error
        return ()

    def seen(self, origin: str) -> int:
        """Return how many entries of a log it has seen, 0 when the file is gone or empty; write nothing.

        Raises:
            WitnessSilent: it cannot be read.
            VerificationError: it is a file of something else.
        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_SH)
                before, _ = self._last(file, origin)
            finally:
                os.close(file)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise WitnessSilent(f"{self.name}: it cannot be read ({error.strerror})") from error
        return before.head.size if before is not None else 0

    def _remembers(self, before: Checkpoint | None, had: int) -> None:
        seen = before.head.size if before is not None else 0
        if seen < had:
            raise forgot(had, seen)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file for one process at a time."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _last(self, file: int, origin: str) -> tuple[Checkpoint | None, int]:
        """Return the last whole line as a checkpoint, None when there is none, and where it ends."""
        size = os.fstat(file).st_size
        start = max(0, size - TAIL_BYTES)
        tail = os.pread(file, TAIL_BYTES, start)
        end = tail.rfind(b"\n") + 1
        if not end:
            beginning = json.dumps(f"{origin}\n")[:-1].encode()
            if start or tail[: len(beginning)] != beginning[: len(tail)]:
                raise VerificationError(f"{self.name}: expected lines, each a checkpoint")
            return None, 0
        line = tail[tail.rfind(b"\n", 0, end - 1) + 1 : end]
        try:
            note = json.loads(line)
        except ValueError:
            note = None
        if not isinstance(note, str):
            raise VerificationError(f"{self.name}: its last line is not a checkpoint; look at it")
        return parse_checkpoint(parse_note(note.encode()).text), start + end

    def _append(self, file: int, end: int, line: bytes) -> None:
        """Write a line after the last whole one, in the place of one that was cut off."""
        os.ftruncate(file, end)
        os.pwrite(file, line, end)
        os.fsync(file)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

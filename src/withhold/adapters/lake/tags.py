"""Sorted tags of dataset versions: immutable files beside the lake, named by the root of their tree.

    tags/<first two hex digits>/<root>.tags

    tags, ascending, 32 bytes each | u64 starts[2^D + 1] | nodes of depth 0, 1, …, D, 32 bytes each
    | u64 number of tags | u64 D | "WHTAGS01"

Integers are little-endian; starts and nodes are the crown (`domain.prefix_tree`). A proof maps the file,
reads what it needs of the crown and some dozens of tags, and is checked against the root before anybody
gets it: so a damaged file yields no wrong proof, and a proof costs no look at the rest of the file.

Tags are chance, so they fall evenly into 256 parts by their first byte; what does not fit in memory is
spilled, and each part is sorted by itself. Memory stays at some `MOST_BYTES` and a
part, however many there are.

Source: design section 6. Not here: whose tags a version has (`services.tagging`), keys of subjects.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from withhold.adapters.lake.durable import make_folder, publish
from withhold.domain.absence import TAG_BYTES, TagProof, tag_of, tag_secret
from withhold.domain.names import SubjectNo
from withhold.domain.prefix_tree import MOST_LEVELS, Crown, SortedTags, crown_of, prove
from withhold.errors import StorageError, VerificationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC = b"WHTAGS01"
MOST_BYTES = 64 * 1024 * 1024  # of tags that are not sorted yet, in memory
_END = struct.Struct("<QQ8s")
_TOGETHER = 65_536  # tags between two looks at the memory

Keys = Callable[[Iterable[int]], Iterator[bytes | None]]


class TagFiles:
    """`ports.Tags` in one folder, over the keys of subjects."""

    def __init__(self, folder: Path, keys_of: Keys, most_bytes: int = MOST_BYTES) -> None:
        """Take the folder, which is made with the first file.

        Args:
            folder: of the files.
            keys_of: yields the key of each subject, None for one whose key is gone.
            most_bytes: of tags in memory that are not sorted yet.
        """
        self._folder, self._keys_of, self._most_bytes = folder, keys_of, most_bytes

    def secret(self, subject: SubjectNo) -> bytes | None:
        key = next(self._keys_of((subject,)))
        return None if key is None else tag_secret(key)

    def keep(self, accounts: NDArray[np.uint32], dataset: str) -> bytes:
        make_folder(self._folder)
        with self._made(accounts, dataset) as made:
            crown = crown_of(made.tags)
            with _writing():
                made.file.seek(0, os.SEEK_END)
                made.file.write(_encoded(crown))
                made.file.flush()
            publish(made.path, self.path(crown.root))
        return crown.root

    def prove(self, root: bytes, tag: bytes) -> TagProof:
        with self._kept(root) as kept:
            return prove(tag, kept.crown, kept.tags)

    def check(self, root: bytes, accounts: NDArray[np.uint32], dataset: str) -> None:
        with (
            tempfile.TemporaryDirectory(prefix="withhold-tags-") as folder,
            self._made(accounts, dataset, Path(folder)) as made,
        ):
            if crown_of(made.tags).root != root and not made.missing:
                raise VerificationError(
                    f"{dataset.partition(':')[0]}: its tags do not have the root in its entry"
                )
            if made.missing or self.path(root).exists():
                self._check_kept(root, made)

    def path(self, root: bytes) -> Path:
        """Return where the tags under a root lie."""
        return self._folder / root.hex()[:2] / f"{root.hex()}.tags"

    def _check_kept(self, root: bytes, made: _Made) -> None:
        with self._kept(root) as kept:
            crown = crown_of(kept.tags)
            if crown.root != root or _encoded(crown) != kept.end:
                raise _damaged(root)
            others = _others(_each(kept.tags), _each(made.tags))
            if others is None or others > made.missing:
                raise VerificationError(
                    f"tags {root.hex()}: they are not those of the version's accounts"
                )

    @contextmanager
    def _made(
        self, accounts: NDArray[np.uint32], dataset: str, folder: Path | None = None
    ) -> Iterator[_Made]:
        """Make the tags and sort them into a file without a name that anybody reads."""
        parts = _Parts(folder or self._folder, self._most_bytes)
        keys, missing = self._keys_of(map(int, accounts)), 0
        while some := list(islice(keys, parts.together)):
            missing += some.count(None)
            parts.add(tag_of(tag_secret(key), dataset) for key in some if key is not None)
        with _writing():
            descriptor, name = tempfile.mkstemp(prefix=".tagging-", dir=folder or self._folder)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                with _writing():
                    file.writelines(parts.sorted())
                    file.flush()
                with _mapped(file) as tags:
                    yield _Made(file, Path(name), tags, missing)
        finally:
            with suppress(FileNotFoundError):  # published
                Path(name).unlink()

    @contextmanager
    def _kept(self, root: bytes) -> Iterator[_Kept]:
        try:
            with self.path(root).open("rb") as file, _mapped(file) as mapped:
                yield _opened(mapped, root)
        except OSError:
            raise VerificationError(f"tags {root.hex()}: they are missing") from None


@dataclass(frozen=True, slots=True)
class _Made:
    """Tags that were just made.

    Attributes:
        file: holds them and nothing else.
        missing: accounts that have none, because their key is gone.
    """

    file: IO[bytes]
    path: Path
    tags: SortedTags
    missing: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """A mapped file.

    Attributes:
        end: everything after the tags.
    """

    tags: SortedTags
    crown: Crown
    end: bytes


class _Parts:
    """Tags by their first byte, in memory as long as they fit."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._waiting = [bytearray() for _ in range(256)]
        self._spilled: list[list[tuple[int, int]]] = [[] for _ in range(256)]
        self._size, self._most_bytes = 0, most_bytes
        self.together = max(1, min(_TOGETHER, most_bytes // TAG_BYTES))
        with _writing():
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed with the last part)

    def add(self, tags: Iterable[bytes]) -> None:
        """Take tags, in any order, at most ``together``."""
        waiting = self._waiting
        for tag in tags:
            waiting[tag[0]] += tag
        self._size += TAG_BYTES * self.together
        if self._size > self._most_bytes:
            self._spill()

    def _spill(self) -> None:
        with _writing():
            for part, waiting in enumerate(self._waiting):
                self._spilled[part].append((self._file.tell(), len(waiting)))
                self._file.write(waiting)
                waiting.clear()
        self._size = 0

    def sorted(self) -> Iterator[bytes]:
        """Yield all tags in order, a part at a time."""
        with self._file as file:
            for spilled, waiting in zip(self._spilled, self._waiting, strict=True):
                tags = [*_each(bytes(waiting))]
                for start, size in spilled:
                    file.seek(start)
                    tags += _each(file.read(size))
                yield b"".join(sorted(tags))
                waiting.clear()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"tags could not be written: {error.strerror}") from error


@contextmanager
def _mapped(file: IO[bytes]) -> Iterator[SortedTags]:
    """Map a file; an empty one cannot be mapped and is no bytes."""
    if not os.fstat(file.fileno()).st_size:
        yield b""
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        yield mapped


def _each(tags: SortedTags) -> Iterator[bytes]:
    return (tags[at : at + TAG_BYTES] for at in range(0, len(tags), TAG_BYTES))


def _others(kept: Iterator[bytes], made: Iterator[bytes]) -> int | None:
    """Return how many tags are kept that were not made again, None when one made is not kept."""
    others = 0
    for tag in made:
        for each in kept:
            if each == tag:
                break
            others += 1
        else:
            return None
    return others + sum(1 for _ in kept)


# --- bytes --------------------------------------------------------------------------------------------


def _encoded(crown: Crown) -> bytes:
    """Return everything that stands after the tags."""
    width = 1 << crown.depth
    starts = [crown.starts[at] for at in range(width + 1)]
    nodes = [crown.levels[d][at] for d in range(crown.depth + 1) for at in range(1 << d)]
    end = _END.pack(starts[-1], crown.depth, MAGIC)
    return b"".join((struct.pack(f"<{width + 1}Q", *starts), *nodes, end))


def _opened(mapped: SortedTags, root: bytes) -> _Kept:
    """Return the parts of a file; of its tags and its crown nothing is checked but the root itself.

    Raises:
        VerificationError: it is not a file of that root.
    """
    size = len(mapped)
    if size < _END.size:
        raise _damaged(root)
    count, depth, magic = _END.unpack(mapped[size - _END.size : size])
    if magic != MAGIC or depth > MOST_LEVELS:
        raise _damaged(root)
    width = 1 << depth
    starts = TAG_BYTES * count
    nodes = starts + 8 * (width + 1)
    if size != nodes + TAG_BYTES * (2 * width - 1) + _END.size:
        raise _damaged(root)
    levels = [_Level(mapped, nodes + TAG_BYTES * ((1 << d) - 1)) for d in range(depth + 1)]
    if levels[0][0] != root:
        raise _damaged(root)
    crown = Crown(depth, _Starts(mapped, starts, width, count), levels)
    return _Kept(_First(mapped, starts), crown, mapped[starts:size])


@dataclass(frozen=True, slots=True)
class _First:
    """The beginning of a file, as if it were all."""

    mapped: SortedTags
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice, /) -> bytes:
        return self.mapped[part]


@dataclass(frozen=True, slots=True)
class _Starts:
    """Where the tags of each prefix start, read when asked for."""

    mapped: SortedTags
    at: int
    width: int
    count: int

    def __getitem__(self, prefix: int, /) -> int:
        at = self.at + 8 * (self.width if prefix == -1 else prefix)
        start = int.from_bytes(self.mapped[at : at + 8], "little")
        if start > self.count:
            raise VerificationError("tags: their crown names tags that are not there; damaged")
        return start


@dataclass(frozen=True, slots=True)
class _Level:
    """The nodes of one depth, read when asked for."""

    mapped: SortedTags
    at: int

    def __getitem__(self, prefix: int, /) -> bytes:
        at = self.at + TAG_BYTES * prefix
        return self.mapped[at : at + TAG_BYTES]


def _damaged(root: bytes) -> VerificationError:
    return VerificationError(f"tags {root.hex()}: what is kept of them is damaged")

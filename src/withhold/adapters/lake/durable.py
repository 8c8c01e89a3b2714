"""Publishing a file so that it is either wholly there under its name, or not there at all.

The order of system calls, and what a crash after each leaves:

    write temporary, fsync temporary     a leftover temporary file; nobody reads those
    rename to the final name             the old state or the new one, decided by the folder's journal
    fsync the folder                     the file, durably; only now may anybody be told of it

A new folder is itself an entry in its parent, so the parent is synced as well when one is made.
"""

from __future__ import annotations

import os
from pathlib import Path

from withhold.errors import StorageError


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, durably.

    Raises:
        StorageError: the disk refused.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
        sync(folder.parent)
    except OSError as error:
        raise StorageError(f"could not make {folder}: {error.strerror}") from error


def publish(temporary: Path, final: Path) -> None:
    """Give a written file its final name, durably; a file already there is replaced by the same bytes.

    Raises:
        StorageError: the disk refused; the final name is as it was.
    """
    make_folder(final.parent)
    try:
        sync(temporary)
        temporary.replace(final)
        sync(final.parent)
    except OSError as error:
        raise StorageError(f"could not publish {final.name}: {error.strerror}") from error


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

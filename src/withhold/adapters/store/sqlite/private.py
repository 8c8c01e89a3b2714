"""Files that nobody but their owner reads, whatever folder they are in.

Source: "least privilege". Not here: what is in them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import apsw

STATEMENTS = 100


def open_private(path: Path, statements: int = STATEMENTS) -> apsw.Connection:
    """Open a database; one that is made here is its owner's alone, and so are the files that SQLite adds.

    Args:
        path: of the file.
        statements: how many are kept prepared.

    Raises:
        apsw.Error: it cannot be opened.
    """
    with suppress(OSError):  # it is there, or cannot be made, which SQLite tells
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return apsw.Connection(str(path), statementcachesize=statements)

"""The tables of the control database, and the check that a database is one we know.

Each owner of tables has one constant here and adds it to `TABLES`; this module imports nothing of
theirs, so that `control` can create every table before any owner exists. Tables are made once, together
with ``user_version``; a database of a newer version is refused, because a program that does not know
all rules must not decide anything.

Not here: keys (`keys`) and captured rows (`intake`); they are databases of their own.
"""

from __future__ import annotations

import apsw

from withhold.errors import StorageError

VERSION = 4
APPLICATION_ID = 0x57483031  # "WH01": another program's database is never taken for ours

# The ledger and what is derived from it. `entries` is the truth; `previous` is the position of the
# subject's entry before, 0 when there is none; `effects` are records of (u32 party, u8 code),
# little-endian; `body` is nonce || AES-256-GCM of a sealed event, or the plain bytes of a public one.
# `erased.name` is a keyed hash of a name that was forgotten.
LEDGER = """
CREATE TABLE entries(
  position INTEGER PRIMARY KEY, kind INTEGER NOT NULL, entry BLOB NOT NULL, chain BLOB NOT NULL,
  subject INTEGER, previous INTEGER NOT NULL, body BLOB NOT NULL, effects BLOB) STRICT;
CREATE TABLE subjects(
  no INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL, record BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX subjects_by_id ON subjects(id, kind);
CREATE TABLE parties(
  no INTEGER PRIMARY KEY, kind INTEGER NOT NULL, product TEXT NOT NULL, subject INTEGER) STRICT;
CREATE TABLE plan_parties(
  product TEXT NOT NULL, plan TEXT NOT NULL, default_no INTEGER NOT NULL,
  default_on_since INTEGER NOT NULL, lock_no INTEGER NOT NULL, lock_on_since INTEGER NOT NULL,
  position INTEGER NOT NULL, recorded_at INTEGER NOT NULL,
  PRIMARY KEY(product, plan)) STRICT, WITHOUT ROWID;
CREATE TABLE policies(position INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE idempotency(
  key TEXT PRIMARY KEY, digest BLOB NOT NULL, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE deleted_rows(
  position INTEGER NOT NULL, product TEXT NOT NULL, ordinal INTEGER NOT NULL,
  PRIMARY KEY(position, product, ordinal)) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_rows_by_ordinal ON deleted_rows(product, ordinal);
CREATE TABLE erased(position INTEGER PRIMARY KEY, subject INTEGER NOT NULL, name BLOB NOT NULL) STRICT;
CREATE INDEX erased_by_name ON erased(name);
"""

# The tree over the entries: full tiles of 256 hashes, the entries that replaced the log's keys, and the
# checkpoints that are kept because they carry more signatures than every commit makes.
LOG = """
CREATE TABLE tiles(
  level INTEGER NOT NULL, number INTEGER NOT NULL, hashes BLOB NOT NULL,
  PRIMARY KEY(level, number)) STRICT;
CREATE TABLE log_keys(position INTEGER PRIMARY KEY, key TEXT NOT NULL, second TEXT NOT NULL) STRICT;
CREATE TABLE checkpoints(
  size INTEGER PRIMARY KEY, note BLOB NOT NULL, cosigned INTEGER NOT NULL DEFAULT 0) STRICT;
"""

CREDENTIALS = """
CREATE TABLE credentials(
  hash BLOB PRIMARY KEY, name TEXT NOT NULL, scopes TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

# Lake files, what is withheld of them, and the datasets over them. A vector is a base and its growths
# since; `digest` chains over both, so that a lost or altered part is noticed (`files`).
LAKE = """
CREATE TABLE files(
  no INTEGER PRIMARY KEY, product TEXT NOT NULL, sha256 TEXT NOT NULL UNIQUE,
  size_bytes INTEGER NOT NULL, rows INTEGER NOT NULL, first INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX files_by_ordinal ON files(product, first);
CREATE TABLE vectors(
  file INTEGER PRIMARY KEY, applied INTEGER NOT NULL, growths INTEGER NOT NULL,
  digest BLOB NOT NULL) STRICT;
CREATE TABLE bases(file INTEGER PRIMARY KEY, upto INTEGER NOT NULL, bits BLOB NOT NULL) STRICT;
CREATE TABLE growth(
  no INTEGER PRIMARY KEY, file INTEGER NOT NULL, position INTEGER NOT NULL, added BLOB NOT NULL) STRICT;
CREATE INDEX growth_by_file ON growth(file);
CREATE TABLE cursor(one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL) STRICT;
INSERT INTO cursor VALUES (1, 0);
CREATE TABLE datasets(
  position INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, manifest TEXT NOT NULL,
  committed_at INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX datasets_by_name ON datasets(name, version);
CREATE TABLE taggings(
  dataset INTEGER PRIMARY KEY, position INTEGER NOT NULL UNIQUE, root BLOB NOT NULL) STRICT;
CREATE TABLE readers(
  id TEXT PRIMARY KEY, dataset TEXT NOT NULL, ends_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE exports(
  position INTEGER PRIMARY KEY, dataset TEXT NOT NULL, cutoff INTEGER NOT NULL, rows INTEGER NOT NULL,
  shards TEXT NOT NULL, recorded_at INTEGER NOT NULL) STRICT;
"""

TABLES: tuple[str, ...] = (LEDGER, LOG, CREDENTIALS, LAKE)


def prepare(connection: apsw.Connection) -> None:
    """Create every table in a new database, or check the version of an existing one.

    Raises:
        StorageError: another version of this program made the database, or it is not ours.
    """
    if _version(connection) == VERSION:
        return
    with connection:  # a savepoint; the first statement inside takes the write lock
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if _version(connection) == VERSION:  # another process made it meanwhile
            return
        for owner in TABLES:
            connection.execute(owner)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _version(connection: apsw.Connection) -> int:
    version = int(connection.pragma("user_version"))
    if version not in {0, VERSION}:  # there is no release yet whose databases could be older
        raise StorageError(
            f"the control database has schema {version}, this program knows {VERSION}; "
            "use the program that made it"
        )
    application = int(connection.pragma("application_id"))
    if application not in (0, APPLICATION_ID):
        raise StorageError("the control database belongs to another program; name another folder")
    return version

"""The embedded store: SQLite through apsw, one folder, many processes."""

"""Logging: one JSON line per event on stderr, without content and without credentials.

Of an error that is not ours only its type and place are told: its message may quote what was sent.
"""

from __future__ import annotations

import logging
import sys

import structlog

from withhold.errors import WithholdError


def configure() -> None:
    """Log as JSON lines to stderr; control characters are escaped by JSON."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def told(error: Exception) -> str:
    """Return what may be said of an error."""
    if isinstance(error, WithholdError):
        return error.diagnostics()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (
        "" if trace is None else f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
    )
    return f"{type(error).__name__}{place}"

"""Starts the command line: ``withhold``, or ``python -m withhold``.

Ctrl-C is exit code 130 and one line on stderr, also while what the commands need is being imported,
which takes most of a second.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130  # as a shell has it: 128 + SIGINT


def main() -> None:
    """Run the command line and end the process with its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    try:
        from withhold import cli  # noqa: PLC0415 (the point of this module)

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write(
            "withhold: interrupted; what was confirmed stands, run it again to go on\n"
        )
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()

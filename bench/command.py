"""The command line of every benchmark: its options are the parameters of its ``main``.

python -m bench.toggle --accounts 1000 --json
"""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any


def run(main: Callable[..., Mapping[str, Any]], description: str | None) -> None:
    """Run a benchmark with the numbers that the command line gives; ``--json`` prints its figures.

    Args:
        main: prints a table and returns the figures; of its parameters, the whole numbers are options.
        description: the benchmark's docstring, of which ``--help`` shows the first line.
    """
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    for name, parameter in inspect.signature(main).parameters.items():
        if isinstance(parameter.default, int):
            parser.add_argument(f"--{name}", type=int, default=parameter.default)
    parser.add_argument("--json", action="store_true")
    asked = vars(parser.parse_args())
    as_json = asked.pop("json")
    found = main(**asked)
    if as_json:
        print(json.dumps(found))

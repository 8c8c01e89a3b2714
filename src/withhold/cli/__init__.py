"""The command line. One module per group of nouns; every command takes ``--home`` and ``--json``.

An error is one line on stderr and exit code 2. A traceback is a bug of ours.

Not here: Ctrl-C (`withhold.__main__`).
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from withhold import __version__
from withhold.cli import (
    absence,
    data,
    directory,
    evidence,
    log,
    maintenance,
    policy,
    preferences,
    receipts,
    server,
    token,
)
from withhold.cli.output import safe, say
from withhold.errors import WithholdError

FAILED = 2
INTERRUPTED = 130  # what typer makes of Ctrl-C


def _print_version(is_asked: bool) -> None:
    if is_asked:
        say(f"withhold {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="withhold",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (server, data, preferences, evidence, absence, receipts, maintenance):
    module.register(app)
app.command()(directory.erase)
app.add_typer(directory.account, name="account")
app.add_typer(directory.organization, name="organization")
app.add_typer(data.delete, name="delete")
app.add_typer(token.app, name="token")
app.add_typer(policy.app, name="policy")
app.add_typer(log.app, name="log")


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version)
    ] = False,
) -> None:
    """Training opt-outs that hold. Data is in WITHHOLD_HOME (default ./.withhold)."""


def main() -> None:
    """Run the command line and end the process with its exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except WithholdError as error:
        _fail(error.diagnostics())
    except TyperException as error:
        _fail(_said(error))
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:  # the reader of our output has gone, for example `head`
        _drop_output()
        sys.exit(0)
    except OSError as error:
        _drop_output()
        _fail(f"{error.filename or 'the output cannot be written'}: {error.strerror or error}")
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    sys.exit(code if isinstance(code, int) else 0)


def _drop_output() -> None:
    """Let what is still to be printed go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _said(error: TyperException) -> str:
    said = getattr(error, "format_message", error.__str__)()
    context = getattr(error, "ctx", None)
    hint = f"; see {context.command_path} --help" if context is not None else ""
    return str(said).rstrip(".") + hint


def _fail(message: str) -> None:
    line = " ".join(safe(message).split())
    sys.stderr.write(f"withhold: {line}\n")
    sys.exit(FAILED)

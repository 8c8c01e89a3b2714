"""Every command has a help text, and the documents mention it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from tests.house.tree import ROOT
from withhold import cli


def _commands(command: object, words: tuple[str, ...]) -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command that does something, with the words that call it."""
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _commands(child, (*words, name))
    else:
        assert isinstance(command, TyperCommand)
        yield " ".join(words), command


def _documents() -> str:
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


COMMANDS = dict(_commands(get_command(cli.app), ("withhold",)))

EXPECTED = frozenset(
    {
        *("up", "serve", "import", "build", "datasets", "show", "explain", "export"),
        *("opt-out", "opt-in", "status", "where"),
        *("verify", "audit", "token", "policy", "bench"),
    }
)
"""The commands that the contract names (design, section 8)."""


def test_every_command_of_the_contract_exists() -> None:
    assert EXPECTED - {call.split()[1] for call in COMMANDS} == frozenset()


@pytest.mark.parametrize("call", COMMANDS)
def test_every_command_says_what_it_does(call: str) -> None:
    assert (COMMANDS[call].help or "").strip()


@pytest.mark.parametrize("call", COMMANDS)
def test_every_option_of_a_command_says_what_it_does(call: str) -> None:
    options = [option for option in COMMANDS[call].params if isinstance(option, TyperOption)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("call", COMMANDS)
def test_every_command_is_in_the_documents(call: str) -> None:
    assert call in _documents()

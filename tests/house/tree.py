"""The source tree as the house tests see it: its files and the functions in them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "withhold"


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method, and how long its body is."""

    name: str
    lines: int


def tracked() -> list[Path]:
    """Return the files of the project: those git knows, or all when there is no git."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    else:
        paths = [*ROOT.glob("*"), *(ROOT / "src").rglob("*"), *(ROOT / "docs").rglob("*")]
    return [path for path in paths if path.is_file()]


def modules(folder: Path) -> list[Path]:
    """Return the Python files below a folder."""
    return sorted(path for path in folder.rglob("*.py") if ".venv" not in path.parts)


def place(path: Path) -> str:
    """Return a path as the documents write it, relative to the root."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[Function]:
    """Yield the functions of a module, methods and nested ones included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(node.name, _body_lines(node))


def names(path: Path) -> set[str]:
    """Return the names that a module imports from others or takes from them as attributes."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(alias.name for alias in node.names)
    return found


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines from the first statement to the last; the docstring is no statement."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    if not body:
        return 0
    last = body[-1].end_lineno or body[-1].lineno
    return last - body[0].lineno + 1

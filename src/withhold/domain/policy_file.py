"""The policy file: text in, a valid `Policy` or a refusal with line and reason out.

Everything is strict, because a misread line is a breach for everybody on a plan: unknown keys,
wrong types (a boolean means ``true`` or ``false``), duplicate ids, ids outside the pattern, a
locked plan that is on, and any exception to "feedback never overrides an opt-out" are refused.
Texts are shown to people beside the control, so they must be one printable line.

Source: articles A2-A5, A8-A10; design sections 2 and 8. The keys are described in docs/policy.md.

Not here: where the file lies and reading it (the composition root), comparing it with the policy in
force (`policy.changes`).
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn, TypeVar

from withhold.domain.names import NoticeVersion, PlanId, ProductId
from withhold.domain.policy import (
    Control,
    HeldBy,
    LegalBasis,
    Plan,
    Policy,
    Product,
    Purpose,
    Role,
    Surface,
)
from withhold.domain.signals import Signal
from withhold.domain.toml_lines import TomlPath, line_of
from withhold.errors import PolicyFileError

MAX_FILE_BYTES = 256 * 1024
MAX_LINE_CHARACTERS = 1_000
MAX_TEXT_CHARACTERS = 600

_ID = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")
_SYNTAX_LINE = re.compile(r"\(at line (\d+), column \d+\)$")

_ROOT_KEYS = (
    "version",
    "notice",
    "legal_basis",
    "basis",
    "feedback_overrides_opt_out",
    "roles_that_change",
    "products",
)
_PRODUCT_KEYS = (
    "id",
    "label",
    "formerly",
    "purpose",
    "personal_plan",
    "covers",
    "deidentified",
    "honours",
    "plans",
    "surfaces",
)
_PLAN_KEYS = ("id", "label", "formerly", "default_on", "locked", "held_by", "reason")
_SURFACE_KEYS = ("id", "path", "section", "control", "label")

_Choice = TypeVar("_Choice", bound=Enum)


def loads(source: str | bytes) -> Policy:
    """Return the policy that a file states.

    Args:
        source: the file. Give its bytes: a text that went through newline translation has another
            digest. The digest of a text is that of its UTF-8 encoding.

    Raises:
        PolicyFileError: the file is not a valid policy; carries the line and the reason.
    """
    data = _encoded(source)
    text = _decoded(data)
    root = _Table(text, (), _parsed(text))
    root.check_keys(_ROOT_KEYS)
    if root.flag("feedback_overrides_opt_out"):
        root.refuse(
            "feedback_overrides_opt_out",
            "feedback never overrides an opt-out, without exception; expected false",
        )
    products = tuple(_product(table) for table in root.tables("products", _PRODUCT_KEYS))
    return Policy(
        version=root.matching("version", _VERSION),
        digest=hashlib.sha256(data).hexdigest(),
        notice=NoticeVersion(root.matching("notice", _VERSION)),
        legal_basis=root.text("legal_basis"),
        basis=_basis(root),
        feedback_overrides=False,
        roles_that_change=_roles(root),
        products=products,
    )


def _encoded(source: str | bytes) -> bytes:
    if isinstance(source, str):
        try:
            return _encoded(source.encode())
        except UnicodeEncodeError as error:
            line = source.count("\n", 0, error.start) + 1
            raise PolicyFileError("a character that UTF-8 cannot hold", line=line) from None
    if len(source) > MAX_FILE_BYTES:
        raise PolicyFileError(
            f"the file has {len(source)} bytes; expected at most {MAX_FILE_BYTES}"
        )
    return source


def _decoded(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PolicyFileError("bytes that are not UTF-8", line=line) from None
    # The standard parser takes time quadratic in the number of names in one dotted key.
    for line, content in enumerate(text.split("\n"), start=1):
        if len(content) > MAX_LINE_CHARACTERS:
            raise PolicyFileError(
                f"the line has {len(content)} characters; expected at most {MAX_LINE_CHARACTERS}",
                line=line,
            )
    return text


def _parsed(text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise PolicyFileError("values nested too deeply; expected tables of texts") from None
    except ValueError as error:  # wider than the parser's own error: numbers of many digits
        found = _SYNTAX_LINE.search(str(error))
        # "at end of document" names no line: it is the last one.
        line = int(found[1]) if found else text.count("\n") + 1
        what = _SYNTAX_LINE.sub("", str(error)).strip()
        raise PolicyFileError(f"not valid TOML: {what}", line=line) from None


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file, which knows where it stands and refuses what it does not expect.

    Attributes:
        document: the whole file, to find lines in.
        path: where the table stands in it.
        values: what it holds.
    """

    document: str
    path: TomlPath
    values: Mapping[str, object]

    def refuse(self, key: str, reason: str) -> NoReturn:
        raise PolicyFileError(reason, line=line_of(self.document, (*self.path, key)))

    def check_keys(self, known: Iterable[str]) -> None:
        for key in self.values:
            if key not in known:
                self.refuse(key, f"unknown key {key[:40]!r}; expected one of {', '.join(known)}")

    def value(self, key: str) -> object:
        if key not in self.values:
            self.refuse(key, f"the key {key} is missing")
        return self.values[key]

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            self.refuse(key, f"{key} is {_kind(value)}; expected true or false")
        return value

    def text(self, key: str) -> str:
        return self._checked(key, self.value(key))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.value(key)
        if not isinstance(value, list):
            self.refuse(key, f"{key} is {_kind(value)}; expected an array of texts")
        found = tuple(self._checked(key, item) for item in value)
        if len(set(found)) < len(found):
            self.refuse(key, f"{key} holds the same text twice")
        return found

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            self.refuse(key, f"{key} is {value[:40]!r}; expected the form ^{pattern.pattern}$")
        return value

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        return self.chosen(key, self.text(key), kind)

    def chosen(self, key: str, value: str, kind: type[_Choice]) -> _Choice:
        members = {str(member.value): member for member in kind}
        if value not in members:
            self.refuse(key, f"{key} says {value[:40]!r}; expected one of {', '.join(members)}")
        return members[value]

    def tables(self, key: str, known: Iterable[str]) -> tuple[_Table, ...]:
        """Return an array of tables: at least one, of known keys, each with an id of its own."""
        value = self.value(key)
        if not isinstance(value, list) or not value:
            self.refuse(key, f"{key} is {_kind(value)}; expected at least one table [[{key}]]")
        found: list[_Table] = []
        ids: set[str] = set()
        for place, item in enumerate(value):
            if not isinstance(item, dict):
                self.refuse(key, f"{key} holds {_kind(item)}; expected only tables")
            table = _Table(self.document, (*self.path, key, place), item)
            table.check_keys(known)
            name = table.matching("id", _ID)
            if name in ids:
                table.refuse("id", f"the id {name} stands twice in {key}")
            ids.add(name)
            found.append(table)
        return tuple(found)

    def _checked(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            self.refuse(key, f"{key} is {_kind(value)}; expected a text")
        if not value.strip() or not value.isprintable() or len(value) > MAX_TEXT_CHARACTERS:
            self.refuse(
                key,
                f"{key} is empty, too long or has control characters; "
                f"expected one printable line of at most {MAX_TEXT_CHARACTERS} characters",
            )
        return value


def _kind(value: object) -> str:
    names = {bool: "a boolean", str: "a text", int: "a number", float: "a number", dict: "a table"}
    if isinstance(value, list):
        return "an array" if value else "an empty array"
    return names.get(type(value), "a date or time")


def _basis(root: _Table) -> LegalBasis:
    """Return the legal basis; of a file without the key, what its sentence names."""
    if "basis" in root.values:
        return root.choice("basis", LegalBasis)
    said = root.text("legal_basis").casefold()
    is_interest = "legitimate interest" in said or "6(1)(f)" in said
    return LegalBasis.LEGITIMATE_INTEREST if is_interest else LegalBasis.CONSENT


def _roles(root: _Table) -> tuple[Role, ...]:
    roles = root.texts("roles_that_change")
    if not roles:
        root.refuse("roles_that_change", "nobody could change anything; expected at least one role")
    return tuple(root.chosen("roles_that_change", role, Role) for role in roles)


def _product(table: _Table) -> Product:
    plans = tuple(_plan(each) for each in table.tables("plans", _PLAN_KEYS))
    personal_plan = PlanId(table.matching("personal_plan", _ID))
    if personal_plan not in {plan.id for plan in plans}:
        known = ", ".join(plan.id for plan in plans)
        table.refuse("personal_plan", f"no plan {personal_plan}; expected one of {known}")
    return Product(
        id=ProductId(table.matching("id", _ID)),
        label=table.text("label"),
        purpose=table.choice("purpose", Purpose),
        personal_plan=personal_plan,
        plans=plans,
        surfaces=tuple(_surface(each) for each in table.tables("surfaces", _SURFACE_KEYS)),
        covers=table.text("covers"),
        deidentified=table.flag("deidentified"),
        formerly=_formerly(table),
        honours=_honours(table),
    )


def _honours(table: _Table) -> tuple[Signal, ...]:
    """Return the signals that a product honours; none when the key is left out."""
    named = table.texts("honours") if "honours" in table.values else ()
    return tuple(table.chosen("honours", name, Signal) for name in named)


def _plan(table: _Table) -> Plan:
    default_on, locked = table.flag("default_on"), table.flag("locked")
    if locked and default_on:
        table.refuse("default_on", "a locked plan is off by default; expected default_on = false")
    if not default_on and "reason" not in table.values:
        table.refuse("reason", "a plan that is off says why; the key reason is missing")
    return Plan(
        id=PlanId(table.matching("id", _ID)),
        label=table.text("label"),
        default_on=default_on,
        locked=locked,
        held_by=table.choice("held_by", HeldBy),
        reason=table.text("reason") if "reason" in table.values else "",
        formerly=_formerly(table),
    )


def _surface(table: _Table) -> Surface:
    path = table.texts("path")
    if not path:
        table.refuse("path", "the path has no steps; expected at least one")
    section = table.text("section") if "section" in table.values else ""
    if section and section not in path:
        table.refuse("section", "the section is not a step of the path; expected one of its steps")
    return Surface(
        id=table.matching("id", _ID),
        path=path,
        section=section,
        control=table.choice("control", Control),
        label=table.text("label"),
    )


def _formerly(table: _Table) -> tuple[str, ...]:
    return table.texts("formerly") if "formerly" in table.values else ()

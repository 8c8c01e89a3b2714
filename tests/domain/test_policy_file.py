"""The policy file: what is refused, on which line, and that nothing else can come out."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from withhold.domain import policy_file
from withhold.domain.policy import LegalBasis, Policy
from withhold.domain.signals import Signal
from withhold.domain.toml_lines import line_of
from withhold.errors import PolicyFileError

SHIPPED = (files("withhold") / "policies" / "default.toml").read_bytes().decode()


def refused(text: str | bytes) -> PolicyFileError:
    with pytest.raises(PolicyFileError) as caught:
        policy_file.loads(text)
    return caught.value


def edited(old: str, new: str, nth: int = 1) -> tuple[str, int]:
    """Return the shipped file with the nth ``old`` replaced, and the line where it stood."""
    start = -1
    for _ in range(nth):
        start = SHIPPED.index(old, start + 1)
    line = SHIPPED.count("\n", 0, start) + 1
    return SHIPPED[:start] + new + SHIPPED[start + len(old) :], line


def test_the_digest_is_that_of_the_files_exact_bytes() -> None:
    expected = hashlib.sha256(SHIPPED.encode()).hexdigest()
    assert policy_file.loads(SHIPPED).digest == expected
    assert policy_file.loads(SHIPPED.encode()) == policy_file.loads(SHIPPED)


def test_line_endings_change_the_digest_and_nothing_else() -> None:
    one, other = policy_file.loads(SHIPPED), policy_file.loads(SHIPPED.replace("\n", "\r\n"))
    assert one.products == other.products
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('label = "Pro"', 'label = "Pro"\ncolour = "red"', "unknown key 'colour'"),
        ('purpose = "model_training"', 'purpose = "training"', "expected one of model_training"),
        ('held_by = "account"', 'held_by = "person"', "expected one of account, organization"),
        ('held_by = "account"', "held_by = 1", "held_by is a number; expected a text"),
        ('control = "toggle"', 'control = "switch"', "expected one of toggle, checkbox, field"),
        ('id = "vibe"', 'id = "Vibe"', "expected the form"),
        ('id = "vibe"', 'id = "v' + "i" * 32 + '"', "expected the form"),
        ('id = "pro"', 'id = "free"', "the id free stands twice in plans"),
        ('id = "studio"', 'id = "vibe"', "the id vibe stands twice in products"),
        ('id = "mobile"', 'id = "console"', "the id console stands twice in surfaces"),
        (
            "default_on = true",
            'default_on = "true"',
            "default_on is a text; expected true or false",
        ),
        ("default_on = true", "default_on = 1", "default_on is a number; expected true or false"),
        ("deidentified = false", "deidentified = []", "deidentified is an empty array"),
        ("deidentified = false", "deidentified = 2026-11-23", "deidentified is a date or time"),
        (
            'personal_plan = "free"',
            'personal_plan = "gratis"',
            "no plan gratis; expected one of free",
        ),
        ('section = "Privacy"', 'section = "Security"', "the section is not a step of the path"),
        ('label = "allowed"', 'label = ""', "label is empty"),
        ('label = "Pro"', 'label = "Pro\\u202e"', "control characters"),
        ('label = "Pro"', f'label = "{"P" * 601}"', "too long"),
        ('["Le Chat"]', '"Le Chat"', "formerly is a text; expected an array of texts"),
        ('["Le Chat"]', '["Le Chat", "Le Chat"]', "formerly holds the same text twice"),
        ('["Le Chat"]', "[true]", "formerly is a boolean; expected a text"),
        ('["admin"]', "[]", "expected at least one role"),
        ('["admin"]', '["admin", "owner"]', "expected one of admin, billing, member"),
        ('version = "2026-11-26"', "version = 2026-11-26", "version is a date or time"),
        ('version = "2026-11-26"', 'version = "two words"', "expected the form"),
        ('["gpc", "content_usage"]', '["dnt"]', "expected one of gpc, content_usage"),
        ('["gpc", "content_usage"]', "true", "honours is a boolean; expected an array of texts"),
        ('["gpc", "content_usage"]', '["gpc", "gpc"]', "honours holds the same text twice"),
        ('basis = "legitimate_interest"', 'basis = "6(1)(f)"', "expected one of consent"),
        ('basis = "legitimate_interest"', "basis = true", "basis is a boolean; expected a text"),
    ],
)
def test_a_wrong_value_is_refused_on_its_line(old: str, new: str, reason: str) -> None:
    text, line = edited(old, new)
    error = refused(text)
    assert reason in error.reason
    assert error.line == line + new.count("\n")
    assert error.diagnostics().startswith(f"line {error.line}: ")


@pytest.mark.parametrize(
    ("sentence", "basis"),
    [
        ("Legitimate interests, with the right to object.", LegalBasis.LEGITIMATE_INTEREST),
        ("GDPR Article 6(1)(f).", LegalBasis.LEGITIMATE_INTEREST),
        ("Your consent.", LegalBasis.CONSENT),
    ],
)
def test_a_file_without_the_key_rests_on_what_its_sentence_names(
    sentence: str, basis: LegalBasis
) -> None:
    without = SHIPPED.replace('basis = "legitimate_interest"\n', "", 1)
    old = next(line for line in without.splitlines() if line.startswith("legal_basis"))
    assert policy_file.loads(without.replace(old, f'legal_basis = "{sentence}"')).basis is basis


def test_a_locked_plan_that_is_on_is_refused() -> None:
    text, line = edited("default_on = false", "default_on = true")
    error = refused(text)
    assert error.line == line
    assert "a locked plan is off by default" in error.reason
    guide = Path(__file__).parents[2] / "docs" / "policy.md"
    assert error.diagnostics() in guide.read_text(encoding="utf-8")


def test_a_plan_that_is_off_without_a_reason_is_refused_at_its_header() -> None:
    start = SHIPPED.index('reason = "Off for everybody: Teams')
    text = SHIPPED[:start] + SHIPPED[SHIPPED.index("\n", start) + 1 :]
    error = refused(text)
    assert "the key reason is missing" in error.reason
    header = SHIPPED.rindex("[[products.plans]]", 0, start)
    assert error.line == SHIPPED.count("\n", 0, header) + 1


def test_feedback_that_overrides_an_opt_out_is_refused_with_the_rule() -> None:
    text, line = edited("feedback_overrides_opt_out = false", "feedback_overrides_opt_out = true")
    error = refused(text)
    assert error.line == line
    assert "feedback never overrides an opt-out" in error.reason


def test_a_product_honours_the_signals_it_names_and_no_others() -> None:
    line = 'honours = ["gpc", "content_usage"]\n'
    assert SHIPPED.count(line) == 2
    text = SHIPPED.replace(line, "", 1).replace(line, 'honours = ["gpc"]\n', 1)
    assert [p.honours for p in policy_file.loads(text).products] == [(), (Signal.GPC,)]
    assert [set(p.honours) for p in policy_file.loads(SHIPPED).products] == [{*Signal}, {*Signal}]


@pytest.mark.parametrize("key", ["notice", "legal_basis", "feedback_overrides_opt_out"])
def test_a_missing_key_of_the_file_is_named(key: str) -> None:
    lines = [line for line in SHIPPED.splitlines() if not line.startswith(key)]
    error = refused("\n".join(lines))
    assert (error.reason, error.line) == (f"the key {key} is missing", 0)


def test_a_file_without_products_is_refused() -> None:
    head = SHIPPED[: SHIPPED.index("[[products]]")]
    assert refused(head).reason == "the key products is missing"
    error = refused(head + "products = []")
    assert "expected at least one table [[products]]" in error.reason
    assert error.line == head.count("\n") + 1
    assert "products holds a number" in refused(head + "products = [1]").reason
    assert "products is a table" in refused(head + "[products]\nid = 'vibe'").reason


def test_a_product_without_a_surface_is_refused_because_nobody_could_opt_out() -> None:
    start = SHIPPED.rindex("[[products.surfaces]]")
    start = SHIPPED.rindex("[[products.surfaces]]", 0, start)
    error = refused(SHIPPED[:start])
    assert error.reason == "the key surfaces is missing"
    assert SHIPPED.splitlines()[error.line - 1] == "[[products]]"


def test_a_surface_without_steps_is_refused() -> None:
    text, line = edited('["Settings", "Account", "Data & Account Controls"]', "[]")
    error = refused(text)
    assert (error.line, error.reason) == (line, "the path has no steps; expected at least one")


def test_a_fault_of_syntax_has_the_parsers_line() -> None:
    text, line = edited('label = "Pro"', "label = Pro")
    error = refused(text)
    assert error.line == line
    assert error.reason.startswith("not valid TOML: ")
    assert "at line" not in error.reason


def test_a_fault_at_the_end_has_the_last_line() -> None:
    assert refused("a = 1\nb = [").line == 2


def test_bytes_that_are_not_utf_8_are_refused_on_their_line() -> None:
    assert refused(b'version = "1"\n\xff').line == 2
    assert refused('version = "1"\n\ud800').line == 2


def test_an_oversized_file_is_refused_before_it_is_parsed() -> None:
    comment = "# " + "x" * 97 + "\n"
    full = comment * (policy_file.MAX_FILE_BYTES // len(comment))
    assert refused(full).reason == "the key feedback_overrides_opt_out is missing"
    assert "expected at most 262144" in refused(full + comment).reason


def test_hostile_nesting_and_numbers_are_refused() -> None:
    assert "nested too deeply" in refused("a = " + "[\n" * 50_000).reason
    assert refused("\n" + "a." * 5_000 + "a = 1").line == 2
    assert refused("a = " + "9" * 900).reason.startswith("unknown key 'a'")


def test_a_refusal_repeats_only_the_beginning_of_a_long_key() -> None:
    assert len(refused(f"{'k' * 900} = 1").reason) < 250


# Lines of paths, in the forms the shipped file does not use.

DOCUMENT = '''# a comment with = and [ in it
"quoted key" = "a # no comment"
text = """
[[products]]
id = 'not a key' """
list = [
  "]", # ]
  { x = "}" },
]
after.dotted = 'it = '
[ "table".inner ]
x = 1
[[products]]
id = 'a'
  [[products.plans]]
  id = \'\'\'b
c\'\'\'
  [[products.plans]]
  id = "\\"c"
[[products]]
id = "d"
[[products.plans]]
locked = true
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("quoted key",), 2),
        (("text",), 3),
        (("list",), 6),
        (("list", 1, "x"), 6),
        (("after", "dotted"), 10),
        (("table", "inner"), 11),
        (("table", "inner", "x"), 12),
        (("products",), 13),
        (("products", 0, "id"), 14),
        (("products", 0, "plans", 0), 15),
        (("products", 0, "plans", 0, "id"), 16),
        (("products", 0, "plans", 1), 18),
        (("products", 0, "plans", 1, "id"), 19),
        (("products", 1), 20),
        (("products", 1, "plans", 0, "locked"), 23),
        (("products", 1, "plans", 0, "missing"), 22),
        (("missing",), 0),
    ],
)
def test_a_path_is_found_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(DOCUMENT, path) == line
    assert line_of(DOCUMENT.replace("\n", "\r\n"), path) == line


# Nothing but a policy or a refusal.

LINES = SHIPPED.splitlines()
FRAGMENTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(LINES),
    st.sampled_from(
        ["true", "false", "1", "[]", "{}", '""', '"""', "'''", "[[products]]", "\n", "=", "."]
    ),
)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """Return the shipped file after a few edits of spans or whole lines."""
    text = SHIPPED
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.one_of(st.integers(start, min(len(text), start + 60)), st.just(start)))
        if draw(st.booleans()):  # whole lines: more of these still parse
            start = text.rfind("\n", 0, start) + 1
            end = text.find("\n", end) + 1 or len(text)
        text = text[:start] + draw(FRAGMENTS) + text[end:]
    return text


def outcome(text: str) -> Policy | PolicyFileError:
    try:
        return policy_file.loads(text)
    except PolicyFileError as error:
        return error


def check_policy_or_refusal(text: str) -> None:
    policy = outcome(text)
    if isinstance(policy, PolicyFileError):
        assert policy.reason
        assert 0 <= policy.line <= text.count("\n") + 1
        return
    assert policy.feedback_overrides is False
    assert policy.roles_that_change
    for product in policy.products:
        assert product.surfaces
        assert product.plan(product.personal_plan)
        assert len({plan.id for plan in product.plans}) == len(product.plans)
        for plan in product.plans:
            assert not (plan.locked and plan.default_on)
            assert plan.default_on or plan.reason


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_policy_or_a_refusal(text: str) -> None:
    check_policy_or_refusal(text)


@settings(deadline=None)  # drawing an edit may be slow on a busy machine
@given(mutations())
def test_any_mutation_of_the_shipped_file_is_a_policy_or_a_refusal(text: str) -> None:
    check_policy_or_refusal(text)


FLAGS = [at for at, line in enumerate(LINES) if line.endswith((" = true", " = false"))]


@given(
    st.sampled_from(FLAGS),
    st.sampled_from(['"true"', "0", "1", "0.0", "[true]", "{}", "2026-11-23"]),
)
def test_a_boolean_of_another_type_is_refused_on_its_line(at: int, value: str) -> None:
    key = LINES[at].split(" = ")[0]
    error = refused("\n".join([*LINES[:at], f"{key} = {value}", *LINES[at + 1 :]]))
    assert error.line == at + 1
    assert "expected true or false" in error.reason

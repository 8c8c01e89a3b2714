"""The audit finds whatever was changed of accounts, plans and policies without an entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tests.services.test_audit_places import audited, tamper
from tests.simulator import VIBE, Provider, with_plan
from withhold.adapters.store.sqlite.codec import decode_subject, encode_subject
from withhold.domain.directory import OPEN, PlanSpell, Subject
from withhold.domain.names import AccountId, PartyNo, PlanId, SubjectNo
from withhold.domain.policy import Role
from withhold.domain.values import changed
from withhold.services import policies
from withhold.services.erasure import erase

ACME, ANA, BO, CY, DAN = range(1, 6)
"""Numbers: an organisation on Teams, its member Ana, and Bo and Cy, merged with Dan, since erased."""


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    made = Provider(tmp_path / "home")
    made.found("acme", vibe="teams")
    made.sign_up("ana", "acme", vibe="free")
    for person in ("bo", "cy", "dan"):
        made.sign_up(person)
    made.opt_out("ana")
    made.opt_in("bo")
    made.move("bo", vibe="pro")
    made.merge("bo", "cy", "dan")
    made.opt_out("cy")
    erase(made.ports, AccountId("dan"))
    policies.adopt(made.ports, with_plan(made.policy_text, "vibe", "pro", default_on=False))
    made.sign_up("eve")
    for row in ("e1", "e2"):
        made.chat("eve", row)
        made.seal()
    made.build("chat")
    assert audited(made).holds
    yield made
    made.close()


def edit(provider: Provider, no: int, to: Callable[[Subject], Subject]) -> None:
    """Change the record of a subject as somebody with the database could."""
    connection = apsw.Connection(str(provider.home / "control.db"))
    record = connection.execute("SELECT record FROM subjects WHERE no = ?", (no,)).get
    after = encode_subject(to(decode_subject(record)))
    assert after != record
    connection.execute("UPDATE subjects SET record = ? WHERE no = ?", (after, no))
    connection.close()


def _on_another_plan(subject: Subject) -> Subject:
    return changed(subject, plans=(PlanSpell(VIBE, PlanId("free"), OPEN),))


def _with_a_party_of_bo(subject: Subject) -> Subject:
    holding = changed(subject.holdings[VIBE], party=PartyNo(0))
    return changed(subject, holdings={**subject.holdings, VIBE: holding})


def _unchosen(subject: Subject) -> Subject:
    holding = changed(subject.holdings[VIBE], choice=None)
    return changed(subject, holdings={**subject.holdings, VIBE: holding})


def _as_an_admin(subject: Subject) -> Subject:
    memberships = tuple(changed(m, role=Role.ADMIN) for m in subject.memberships)
    return changed(subject, memberships=memberships)


def _chosen_before(subject: Subject) -> Subject:
    holding = changed(subject.holdings[VIBE], unchosen_until=subject.holdings[VIBE].position - 1)
    return changed(subject, holdings={**subject.holdings, VIBE: holding})


RECORDS: dict[str, tuple[int, Callable[[Subject], Subject]]] = {
    "an organisation's plan": (ACME, _on_another_plan),
    "whose party a standing is": (ANA, _with_a_party_of_bo),
    "that an out was chosen": (ANA, _unchosen),
    "when it was chosen": (ANA, _chosen_before),
    "a role": (ANA, _as_an_admin),
    "a membership": (ANA, lambda s: changed(s, memberships=())),
    "an earlier plan": (BO, lambda s: changed(s, plans=s.plans[-1:])),
    "a group": (BO, lambda s: changed(s, group=())),
    "a member of a group": (BO, lambda s: changed(s, group=(SubjectNo(ANA), *s.group))),
    "a choice of a merged account": (CY, _unchosen),
    "whose party one of somebody erased is": (DAN, _with_a_party_of_bo),
    "a name": (ANA, lambda s: changed(s, id="fay")),
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_that_does_not_follow_is_found(provider: Provider, what: str) -> None:
    no, to = RECORDS[what]
    edit(provider, no, to)
    report = audited(provider)
    assert [fault.sentence for fault in report.faults if f"subject {no}: " in fault.sentence]


STATEMENTS = {
    "names of two accounts": (
        """UPDATE subjects SET id = '-' WHERE id = 'ana';
        UPDATE subjects SET id = 'ana' WHERE id = 'bo';
        UPDATE subjects SET id = 'bo' WHERE id = '-'""",
        "another name",
    ),
    "whose a party is": ("UPDATE parties SET subject = NULL WHERE subject = 2", "not whose"),
    "what a party is": ("UPDATE parties SET kind = 1 WHERE subject = 2", "not whose"),
    "a party that is gone": ("DELETE FROM parties WHERE subject = 2", "missing"),
    "the parties of a plan": (
        """UPDATE plan_parties SET (lock_no, lock_on_since) =
            (SELECT p.lock_no, p.lock_on_since FROM plan_parties p
            WHERE p.plan = 'free' AND p.product = 'vibe')
        WHERE plan = 'teams' AND product = 'vibe'""",
        "plan teams of vibe",
    ),
    "a plan": ("DELETE FROM plan_parties WHERE plan = 'teams'", "plan teams of vibe"),
    "a policy": (
        "UPDATE policies SET text = replace(text, 'Enterprise', 'enterprise')",
        "entry 1: the policy",
    ),
    "a policy that is gone": ("DELETE FROM policies WHERE position = 1", "entry 1: the policy"),
    "an erased name": ("UPDATE erased SET name = zeroblob(32)", "who was erased"),
    "an erasure": ("DELETE FROM erased", "who was erased"),
    "the name of somebody erased": ("UPDATE subjects SET id = 'gil' WHERE no = 5", "another name"),
    "parties of somebody erased": ("DELETE FROM parties WHERE subject = 5", "missing"),
    "whose the parties of somebody erased are": (
        "UPDATE parties SET subject = 3 WHERE subject = 5",
        "not whose",
    ),
    "the name of a dataset": ("UPDATE datasets SET name = 'hidden'", "is kept as hidden@1"),
    "the version of a dataset": ("UPDATE datasets SET version = 9", "is kept as chat@9"),
    "how far withdrawals are applied": (
        "UPDATE cursor SET position = position + 100",
        "which the ledger has not reached",
    ),
    "that withdrawals are applied": ("DELETE FROM cursor", "is not noted"),
    "places of files": (
        """UPDATE files SET first = first + 100;
        UPDATE files SET first = 1 WHERE first = 100;
        UPDATE files SET first = 0 WHERE first = 101""",
        "do not follow",
    ),
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_what_does_not_follow_from_the_entries_is_named(provider: Provider, what: str) -> None:
    statement, said = STATEMENTS[what]
    tamper(provider, statement)
    report = audited(provider)
    assert [fault.sentence for fault in report.faults if said in fault.sentence], report.faults

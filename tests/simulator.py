"""A provider with verbs of the domain, over the real adapters on a fresh home (or any `Ports`).

    provider.sign_up("ana"); provider.chat("ana", "r1"); provider.build("chat")
    provider.opt_out("ana"); assert "r1" not in provider.load("chat@1")

A verb does what a person or a job would ask for, through the same services as everybody. `crash` drops
everything this process holds and opens the home again. Nothing here decides anything: tests assert.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import apsw

import withhold
from withhold.adapters.embedded import open_embedded
from withhold.adapters.signing import verifies
from withhold.domain import dataset_proofs
from withhold.domain.canonical_json import Json
from withhold.domain.checkpoints import Trust
from withhold.domain.dataset_proofs import Verdict
from withhold.domain.datasets import Dataset, parse_ref
from withhold.domain.directory import SubjectKind
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId, OrganizationId, PlanId, Position, ProductId
from withhold.domain.policy import Role
from withhold.domain.vectors import Bits, withheld
from withhold.ports import Ports
from withhold.services import (
    absence,
    builds,
    capture,
    deletion,
    directory,
    policies,
    preferences,
    sealing,
    tagging,
    withdrawals,
)
from withhold.services.capture import CaptureAnswer
from withhold.services.directory import AccountRequest, Opens, OrganizationRequest
from withhold.services.preferences import PreferenceRequest, PreferenceStatus

VIBE, STUDIO = ProductId("vibe"), ProductId("studio")
SHIPPED = Path(withhold.__file__).parent / "policies" / "default.toml"


class Provider:
    """One provider of AI products, its people, its lake and its datasets."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._stack = contextlib.ExitStack()
        self.ports: Ports = self._stack.enter_context(open_embedded(home))
        self._sent = 0
        self.policy_text = SHIPPED.read_text(encoding="utf-8")
        policies.adopt(self.ports, self.policy_text)

    def close(self) -> None:
        self._stack.close()

    def crash(self) -> None:
        """Lose all memory of this process; what is on disk stays."""
        self._stack.close()
        self._stack = contextlib.ExitStack()
        self.ports = self._stack.enter_context(open_embedded(self.home))

    # --- people -----------------------------------------------------------------------------------

    def found(self, organization: str, **plans: str) -> None:
        """Open an organisation, or change its plans: ``found("acme", vibe="teams")``."""
        directory.put_organization(
            self.ports,
            OrganizationRequest(OrganizationId(organization), organization.title(), _plans(plans)),
        )

    def sign_up(self, account: str, *organizations: str, opens: str = "on", **plans: str) -> None:
        """Open an account, or say anew where it belongs and which plans it has."""
        directory.put_account(
            self.ports,
            AccountRequest(
                AccountId(account),
                tuple((OrganizationId(o), Role.MEMBER) for o in organizations),
                _plans(plans),
                Opens(opens),
            ),
        )

    move = sign_up

    def merge(self, *accounts: str) -> None:
        directory.merge(self.ports, [AccountId(a) for a in accounts])

    # --- the switch -------------------------------------------------------------------------------

    def opt_out(
        self, holder: str, product: str = VIBE, *, organization: bool = False
    ) -> PreferenceStatus:
        return self._say(holder, product, organization=organization, allowed=False)

    def opt_in(
        self, holder: str, product: str = VIBE, *, organization: bool = False
    ) -> PreferenceStatus:
        return self._say(holder, product, organization=organization, allowed=True)

    def _say(
        self, holder: str, product: str, *, organization: bool, allowed: bool
    ) -> PreferenceStatus:
        kind = SubjectKind.ORGANIZATION if organization else SubjectKind.ACCOUNT
        return preferences.set_preference(
            self.ports, PreferenceRequest(kind, holder, ProductId(product), allowed)
        )

    def status(self, account: str, product: str = VIBE) -> PreferenceStatus:
        return preferences.status(self.ports, SubjectKind.ACCOUNT, account, ProductId(product))

    def adopt(
        self, product: str, plan: str, *, default_on: bool | None = None, locked: bool | None = None
    ) -> None:
        """Adopt the policy with one plan changed."""
        self.policy_text = with_plan(
            self.policy_text, product, plan, default_on=default_on, locked=locked
        )
        policies.adopt(self.ports, self.policy_text)

    # --- what they make ---------------------------------------------------------------------------

    @property
    def head(self) -> Position:
        return self.ports.ledger.head()

    def token(self) -> str:
        """Take a capture token, as a product does before it accepts content."""
        return capture.capture_token(self.ports)[1]

    def chat(self, account: str, row: str, **more: object) -> CaptureAnswer:
        return self.send(interaction(account, row, **more))

    def upload(self, account: str, row: str, sha256: str, **more: object) -> CaptureAnswer:
        return self.send(
            interaction(account, row, kind=InteractionKind.DOCUMENT, sha256=sha256, **more)
        )

    def call_api(self, account: str, row: str, **more: object) -> CaptureAnswer:
        return self.send(
            interaction(account, row, kind=InteractionKind.API_CALL, product=STUDIO, **more)
        )

    def rate(self, account: str, row: str, about: str, **more: object) -> CaptureAnswer:
        return self.send(
            interaction(account, row, kind=InteractionKind.FEEDBACK, about=about, **more)
        )

    def send(self, *interactions: Interaction) -> CaptureAnswer:
        return capture.capture(self.ports, interactions)

    def delete(self, row: str) -> None:
        deletion.delete_interaction(self.ports, row)

    def delete_conversation(self, conversation: str) -> None:
        deletion.delete_conversation(self.ports, conversation)

    # --- the lake and its datasets ----------------------------------------------------------------

    def seal(self) -> None:
        sealing.seal(self.ports)

    def apply(self) -> Position:
        return withdrawals.apply(self.ports)

    def build(self, name: str, product: str = VIBE) -> Dataset:
        built = builds.build(self.ports, name, ProductId(product))
        assert isinstance(built, Dataset)
        return built

    def tag(self) -> list[str]:
        """Tag what is not tagged yet; return every version that is tagged now."""
        tagging.tag_all(self.ports)
        datasets = self.ports.datasets
        return [str(each.ref) for each in datasets.all() if datasets.tagging(each) is not None]

    def prove(self, account: str, reference: str) -> dict[str, Json]:
        """Return the proof that a version has rows of an account, or that it has none."""
        return absence.prove(self.ports, AccountId(account), parse_ref(reference))

    def verdict(self, document: Mapping[str, object]) -> Verdict:
        """Check a proof as its reader does: with the log's public key and nothing else of ours."""
        trust = Trust(self.ports.log.origin, self.ports.log.keys())
        return dataset_proofs.check(json.loads(json.dumps(document)), trust, verifies)

    def is_in(self, account: str, reference: str) -> bool:
        """Return whether a version had rows of an account when it was committed, as a proof shows it."""
        found = self.verdict(self.prove(account, reference))
        assert (found.account, found.dataset) == (account, reference)
        assert found.present is not None, "the account was opened after the commit"
        return found.present

    def load(self, reference: str) -> list[str]:
        """Return the ids a newly opened reader yields, in order."""
        with withhold.load(reference, home=self.home) as data:
            return [row for batch in data.batches() for row in batch.column("id").to_pylist()]

    def decided(self, reference: str) -> list[str]:
        """Return the ids of a version by the full decision of every row at the head: the oracle."""
        parsed = parse_ref(reference)
        dataset = self.ports.datasets.get(parsed)
        assert dataset is not None, reference
        return list(self._fully_decided({f.no for f in dataset.manifest.files}))

    def _fully_decided(self, numbers: set[int]) -> Iterator[str]:
        for file in self.ports.files.files():
            if file.no in numbers:
                out = withheld(self.full_decision(file.no))
                ids = [
                    i
                    for b in self.ports.lake.batches(file, ["id"], 1024)
                    for i in b.column("id").to_pylist()
                ]
                yield from (i for row, i in enumerate(ids) if out is None or row not in out)

    def full_decision(self, number: int) -> Bits:
        """Decide every row of a file from the ledger alone, deletions included."""
        return sealing.decide(
            self.ports, next(f for f in self.ports.files.files() if f.no == number)
        )[1]


def interaction(account: str, row: str, **more: object) -> Interaction:
    """Return a one-turn chat, unless told otherwise."""
    values: dict[str, object] = {
        "product": VIBE,
        "kind": InteractionKind.CONVERSATION,
        "messages": (Message("user", f"question {row}"), Message("assistant", f"answer {row}")),
        **more,
    }
    if isinstance(values.get("organization"), str):
        values["organization"] = OrganizationId(str(values["organization"]))
    return Interaction(id=row, account=AccountId(account), **values)  # type: ignore[arg-type]


def turns(*pairs: str) -> tuple[Message, ...]:
    """Return messages of several turns: ``turns("a", "b")`` asks a and b and is answered."""
    return tuple(
        m for p in pairs for m in (Message("user", f"ask {p}"), Message("assistant", f"say {p}"))
    )


def _plans(plans: dict[str, str]) -> dict[ProductId, PlanId]:
    return {ProductId(product): PlanId(plan) for product, plan in plans.items()}


def with_plan(
    text: str,
    product: str,
    plan: str,
    *,
    default_on: bool | None = None,
    locked: bool | None = None,
) -> str:
    """Return a policy file with one plan's default or lock changed, under a new version."""
    head, *products = text.split("[[products]]")
    changed = [
        _product_with(p, plan, default_on, locked) if f'id = "{product}"' in p.split("[[")[0] else p
        for p in products
    ]
    version = head.split('version = "', 1)[1].split('"', 1)[0]
    base, _, number = version.partition(".")
    head = head.replace(f'version = "{version}"', f'version = "{base}.{int(number or 0) + 1}"', 1)
    return "[[products]]".join([head, *changed])


def _product_with(text: str, plan: str, default_on: bool | None, locked: bool | None) -> str:
    head, *plans = text.split("[[products.plans]]")
    return "[[products.plans]]".join(
        [
            head,
            *(_plan_with(p, default_on, locked) if f'id = "{plan}"\n' in p else p for p in plans),
        ]
    )


def _plan_with(text: str, default_on: bool | None, locked: bool | None) -> str:
    for key, value in (("default_on", default_on), ("locked", locked)):
        if value is not None:
            for old in ("true", "false"):
                text = text.replace(f"{key} = {old}", f"{key} = {str(value).lower()}", 1)
    if "reason =" not in text:
        text = text.replace("held_by =", 'reason = "Changed by a test."\nheld_by =', 1)
    return text


def rewritten(folder: Path, keys: Path, *names: str) -> Path:
    """Make another home with the keys of the first: an insider who rewrites and signs all anew."""
    made = Provider(folder)
    made.close()
    with apsw.Connection(str(keys)) as old, apsw.Connection(str(folder / "keys.db")) as new:
        seeds = old.execute("SELECT no, seed FROM log_seeds").fetchall()
        name = old.execute("SELECT name FROM log_name").get
        new.execute("DELETE FROM log_seeds")
        new.executemany("INSERT INTO log_seeds VALUES (?, ?)", seeds)
        new.execute("UPDATE log_name SET name = ?", (name,))
    made = Provider(folder)
    for each in names:
        made.sign_up(each)
    made.close()
    return folder

"""Receipts for tests: a provider in memory, its people, and what it hands out."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.ledger import POLICY, MemoryLedger, ports_over
from tests.fakes.log import MemoryLog
from withhold.adapters.signing import verifies
from withhold.domain import receipts as files
from withhold.domain.checkpoints import Trust
from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId, OrganizationId, ProductId
from withhold.domain.policy import Role
from withhold.domain.receipts import Verified
from withhold.ports import Ports
from withhold.services import directory, policies, preferences, receipts
from withhold.services.directory import AccountRequest, OrganizationRequest
from withhold.services.preferences import PreferenceRequest, PreferenceStatus

VIBE = ProductId("vibe")
CONSENT = POLICY.replace('basis = "legitimate_interest"', 'basis = "consent"')


def provider(policy: str = POLICY) -> Ports:
    """Return a provider without people."""
    ledger = MemoryLedger()
    ports = replace(ports_over(ledger), log=MemoryLog(ledger))
    policies.adopt(ports, policy)
    return ports


def sign_up(ports: Ports, *names: str, organization: str | None = None) -> None:
    """Open accounts; with an organization, as its admins."""
    roles = None
    if organization is not None:
        request = OrganizationRequest(OrganizationId(organization), organization, {})
        directory.put_organization(ports, request)
        roles = ((OrganizationId(organization), Role.ADMIN),)
    for name in names:
        directory.put_account(ports, AccountRequest(AccountId(name), roles))


def turn(ports: Ports, name: str, allowed: bool = False, **more: object) -> PreferenceStatus:
    """Turn a switch of Vibe."""
    values: dict[str, object] = {"kind": SubjectKind.ACCOUNT, "product": VIBE, **more}
    request = PreferenceRequest(id=name, allowed=allowed, **values)  # type: ignore[arg-type]
    return preferences.set_preference(ports, request)


def full(ports: Ports, receipt_id: str) -> bytes:
    """Return the file of a receipt."""
    return files.encoded(receipts.receipt(ports, receipt_id))


def redacted(ports: Ports, receipt_id: str) -> bytes:
    """Return the file of the form to show to others."""
    return files.encoded(receipts.redacted(ports, receipt_id))


def trust(ports: Ports) -> Trust:
    """Return whom somebody believes who has all keys of the log."""
    return Trust(ports.log.origin, ports.log.keys())


def checked(ports: Ports, data: bytes) -> Verified:
    """Return what a receipt says, checked without the ledger."""
    return files.verify(data, trust(ports), verifies)

"""The identifiers of the domain, so that a type checker keeps them apart.

External ids (accounts, organisations, products, plans, interactions) are the provider's own strings;
numbers (subjects, parties, ordinals) are ours, dense and never reused.
"""

from __future__ import annotations

from typing import NewType

AccountId = NewType("AccountId", str)
"""Who logs in, as the provider names them."""

OrganizationId = NewType("OrganizationId", str)
"""A tenant, as the provider names it."""

ProductId = NewType("ProductId", str)
"""A product of the policy, for example ``vibe``."""

PlanId = NewType("PlanId", str)
"""A plan of a product, for example ``free``."""

NoticeVersion = NewType("NoticeVersion", str)
"""The exact text version shown beside the control."""

SubjectNo = NewType("SubjectNo", int)
"""A data subject or an organisation as a dense number, 1-based, never reused."""

PartyNo = NewType("PartyNo", int)
"""(holder, product) as a dense number, 0-based, never reused."""

Position = NewType("Position", int)
"""An entry's index in the ledger, 1-based; 0 is before the first entry."""

Ordinal = NewType("Ordinal", int)
"""A row's place among all rows accepted for its product, 0-based, never reused."""

FileNo = NewType("FileNo", int)
"""A lake file as a dense number, 1-based."""

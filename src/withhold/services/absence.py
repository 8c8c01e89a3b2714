"""Absence: giving a person the proof that a version has rows of them or none; checking it against a ledger.

The document is checked without us (`domain.dataset_proofs`). It says what was so at the version's commit:
an opt-out that came later does not change it, and is shown by `lookups.where`. Of an account that was
opened after the commit it says that, and not that the version had no rows of that name: an earlier account,
erased since, may have had the name too.

Source: design section 6. Not here: making tags (`tagging`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from withhold.domain.absence import TagProof, tag_of
from withhold.domain.canonical_json import Json
from withhold.domain.dataset_proofs import DatasetProof, ShownEntry, Verdict, check, parse
from withhold.domain.datasets import Dataset, DatasetRef, Tagging
from withhold.domain.directory import Subject, SubjectKind
from withhold.domain.ledger import broken
from withhold.domain.names import AccountId
from withhold.domain.notes import Verifies
from withhold.domain.steps import Step
from withhold.errors import NotTagged, UnknownAccount, UnknownDataset, VerificationError
from withhold.ports import Ports, Record
from withhold.services import tagging
from withhold.services.log import trust
from withhold.services.receipts import check_ledger


def prove(ports: Ports, account: AccountId, reference: DatasetRef) -> dict[str, Json]:
    """Return the document that shows whether a version had rows of an account at its commit.

    Its ``present`` is None for an account that was opened after the commit.

    Raises:
        UnknownAccount: there is no such account, or its key was erased: nobody can make its tag.
        UnknownDataset: there is no such version.
        NotTagged: the version's tags are not made yet; they follow its commit.
        VerificationError: tags, or an entry, do not hold; nothing was proved.
    """
    subject = _find(ports, account)
    secret = None if subject is None else ports.tags.secret(subject.no)
    if subject is None or secret is None:
        shown = repr(account[:64])
        raise UnknownAccount(f"no account {shown}, or it was erased; nobody can make its tag")
    dataset = ports.datasets.get(reference)
    if dataset is None:
        raise UnknownDataset(f"no dataset {reference}; `withhold datasets` lists all")
    standing = ports.datasets.tagging(dataset)
    if standing is None:
        raise NotTagged(f"{dataset.ref} is not tagged yet; ask again, or run `withhold tag`")
    tagged, opened = _tagging_record(ports, standing), ports.ledger.first_record(subject.no)
    root = bytes.fromhex(str(json.loads(tagged.event)["root"]))
    proof = _proof(ports, dataset, root, tag_of(secret, dataset.tagged_as))
    in_log = ports.log.proofs((tagged.position, opened.position))
    return DatasetProof(
        secret,
        proof,
        ShownEntry(tagged.event, tagged.opening, in_log[0]),
        ShownEntry(opened.event, opened.opening, in_log[1]),
    ).document()


def verify_proof(ports: Ports, document: Mapping[str, object], verifies: Verifies) -> Verdict:
    """Check a proof by its own bytes and this log's keys, and that this ledger still has all of it.

    A ledger that was rewritten and signed anew fails that against any one older proof.

    Args:
        document: as parsed from JSON.
        verifies: checks one signature.

    Raises:
        VerificationError: it does not hold, or this ledger has another entry at a position.
    """
    found = check(document, trust(ports.log), verifies)
    proof, then = parse(document), found.checkpoint.checkpoint.head
    for shown in (proof.account_entry, proof.tagging):
        check_ledger(ports, ("dataset proof", 8), shown.position, shown.entry, then)
    said = f"this ledger has both entries there, and every entry up to {then.size:,} as it was"
    return replace(found, ledger=Step("ledger", said))


def _find(ports: Ports, account: AccountId) -> Subject | None:
    try:
        account.encode()
    except UnicodeEncodeError:  # half of a character: no account can be called so
        return None
    with ports.ledger.directory() as directory:
        return directory.find(SubjectKind.ACCOUNT, account)


def _tagging_record(ports: Ports, standing: Tagging) -> Record:
    record = ports.ledger.record(standing.position)
    if record is None:
        raise broken(standing.position, "it tags a dataset, and is missing")
    return record


def _proof(ports: Ports, dataset: Dataset, root: bytes, tag: bytes) -> TagProof:
    """Prove from the tags that are kept; where they are lost or damaged, make them again first."""
    try:
        return ports.tags.prove(root, tag)
    except VerificationError:
        if tagging.keep(ports, dataset) != root:
            raise VerificationError(
                f"{dataset.ref}: its tags are lost and cannot be made again, for a key was erased "
                "since; restore them from a backup"
            ) from None
        return ports.tags.prove(root, tag)

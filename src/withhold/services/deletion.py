"""Deleting an interaction or a conversation: no later read and no later build yields its rows.

First the capture store forgets that it may ever take them again (durable), then the ledger's entry
withdraws the rows. A crash between the two leaves rows that nobody asked to keep; running it again
completes the work. A deleted row stays deleted when an import is replayed (S16).

Not here: erasing a person, rewriting files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from withhold.domain.interactions import IdState
from withhold.domain.ledger import DeletedRow
from withhold.domain.names import Ordinal, ProductId
from withhold.errors import UnknownRow
from withhold.ports import KnownConversation, KnownId, Ports
from withhold.services.deleting import Deletion, delete_rows


def delete_interaction(ports: Ports, row_id: str, product: ProductId | None = None) -> int:
    """Delete an interaction.

    Args:
        ports: the stores.
        row_id: its id.
        product: where to look; None looks in every product of the policy.

    Returns:
        How many stored rows are now withheld; 0 when the row was never stored.

    Raises:
        UnknownRow: nothing is known of that id.
    """
    found = [k for each in _products(ports, product) for k in _forget(ports, each, row_id)]
    if not found:
        raise UnknownRow("no such interaction; check the id, and the product when one was named")
    deletions = [
        Deletion(min(a.account for a in k.provenance.authors), (DeletedRow(p, k.ordinal),))
        for p, k in found
        if k.ordinal is not None
    ]
    delete_rows(ports, deletions)
    return len(deletions)


def _forget(ports: Ports, product: ProductId, row_id: str) -> Iterator[tuple[ProductId, KnownId]]:
    """Mark an id as deleted, whatever it was; a refused one stays refused."""
    with ports.intake.transaction() as kept:
        known = kept.ids(product, (row_id,)).get(row_id)
        if known is not None and known.state is IdState.STORED:
            kept.put_ids(product, {row_id: replace(known, state=IdState.DELETED)})
    if known is not None:
        yield product, known


def delete_conversation(ports: Ports, name: str, product: ProductId | None = None) -> int:
    """Delete a conversation: its rows, and every row of it that is still to come.

    Args:
        ports: the stores.
        name: the conversation.
        product: where to look; None looks in every product of the policy.

    Returns:
        How many stored rows are now withheld.

    Raises:
        UnknownRow: nothing is known of that conversation.
    """
    counts = [
        _delete_rows_of(ports, each, name, known)
        for each in _products(ports, product)
        if (known := _close(ports, each, name)) is not None
    ]
    if not counts:
        raise UnknownRow("no such conversation; check its name, and the product when one was named")
    return sum(counts)


def _close(ports: Ports, product: ProductId, name: str) -> KnownConversation | None:
    """Let nothing more into a conversation, durably; None when nobody knows it."""
    with ports.intake.transaction() as kept:
        known = kept.conversations(product, (name,)).get(name)
        if known is not None and not known.is_deleted:
            kept.put_conversations(product, {name: replace(known, is_deleted=True)})
    return known


def _delete_rows_of(ports: Ports, product: ProductId, name: str, known: KnownConversation) -> int:
    rows = dict(_rows_of(ports, product, name))
    if not rows:
        return 0
    subject = min(a.account for a in known.provenance.authors)
    delete_rows(ports, [Deletion(subject, tuple(DeletedRow(product, o) for o in sorted(rows)))])
    with ports.intake.transaction() as kept:
        ids = kept.ids(product, rows.values())
        kept.put_ids(product, {i: replace(k, state=IdState.DELETED) for i, k in ids.items()})
    return len(rows)


def _rows_of(ports: Ports, product: ProductId, name: str) -> Iterator[tuple[Ordinal, str]]:
    """Yield ordinal and id of a conversation's rows, some twice.

    The log first and the files after: a row that is sealed meanwhile is met twice, never missed.
    """
    for batch in ports.intake.unsealed(product, ports.files.sealed(product)):
        for row, conversation in enumerate(batch.conversations):
            if conversation == name:
                yield Ordinal(batch.first + row), batch.ids[row]
    for file in ports.files.files(product):
        for row in ports.lake.conversation(file, name):
            yield Ordinal(file.first + row), ports.lake.row(file, row).id


def _products(ports: Ports, product: ProductId | None) -> tuple[ProductId, ...]:
    if product is not None:
        return (product,)
    with ports.ledger.directory() as directory:
        return tuple(p.id for p in directory.policy.products)

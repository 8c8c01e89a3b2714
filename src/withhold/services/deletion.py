"""Deleting an interaction or a conversation: no later read and no later build yields its rows.

First the capture store forgets that it may ever take them again (durable), then the ledger's entry
withdraws the rows. A crash between the two leaves rows that nobody asked to keep; running it again
completes the work. A deleted row stays deleted when an import is replayed (S16). A deleted document may
not be attached again, nor uploaded again under another id.

Captures may come late (S26), so a deletion of something unknown is kept as well: it is refused should it
come. The one who asks is told that it is unknown all the same, since most often the name is wrong.

Not here: erasing a person, rewriting files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from withhold.domain.interactions import BEFORE_ALL, IdState, Provenance
from withhold.domain.ledger import DeletedRow
from withhold.domain.names import Ordinal, Position, ProductId
from withhold.errors import UnknownRow
from withhold.ports import IntakeTransaction, KnownConversation, KnownId, Ports, TraceKind
from withhold.services.deleting import Deletion, delete_rows

_NOBODYS = Provenance(frozenset(), BEFORE_ALL)
"""The provenance of what has not come: nobody's, until somebody sends it."""
_NEVER_CAME = KnownConversation(_NOBODYS, frozenset(), Position(0), is_deleted=False)


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
        UnknownProduct: nor is there such a product.
    """
    found = _forget(ports, _products(ports, product), row_id)
    if not found:
        _check_product(ports, product)
        raise UnknownRow(
            "no such interaction; should one of that id come, it is refused; "
            "check the id, and the product when one was named"
        )
    deletions = [
        Deletion(min(a.account for a in k.provenance.authors), (DeletedRow(p, k.ordinal),))
        for p, k in found.items()
        if k.ordinal is not None
    ]
    delete_rows(ports, deletions)
    return len(deletions)


def _forget(ports: Ports, products: Sequence[ProductId], row_id: str) -> dict[ProductId, KnownId]:
    """Mark an id as deleted wherever it came, and everywhere if it never did; return what was known.

    A refused one stays refused.
    """
    with ports.intake.transaction() as kept:
        asked = {p: kept.ids(p, (row_id,)).get(row_id) for p in products}
        found = {
            p: k
            for p, k in asked.items()
            if k is not None and (k.provenance.authors or k.state.is_refused)
        }
        for each, known in found.items():
            if known.state is IdState.STORED:
                kept.put_ids(each, {row_id: known._replace(state=IdState.DELETED)})
            _forget_documents(kept, each, (row_id,))
        if not found:
            for each in products:
                kept.put_ids(each, {row_id: KnownId(IdState.DELETED, None, _NOBODYS, BEFORE_ALL)})
    return found


def _forget_documents(kept: IntakeTransaction, product: ProductId, ids: Iterable[str]) -> None:
    """Let nothing more use the documents that these rows uploaded."""
    for name in ids:
        for user in kept.users(kept.trace(TraceKind.ROW, product, name), BEFORE_ALL):
            known = kept.provenance(user)
            if user.kind is TraceKind.DOCUMENT and known is not None:
                kept.put_provenance(user, Provenance(known.authors, BEFORE_ALL))


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
        UnknownProduct: nor is there such a product.
    """
    found = _close(ports, _products(ports, product), name)
    if not found:
        _check_product(ports, product)
        raise UnknownRow(
            "no such conversation; should rows of that name come, they are refused; "
            "check its name, and the product when one was named"
        )
    return sum(_delete_rows_of(ports, each, name, known) for each, known in found.items())


def _close(
    ports: Ports, products: Sequence[ProductId], name: str
) -> dict[ProductId, KnownConversation]:
    """Let nothing more into a conversation wherever it came, and everywhere if it never did."""
    with ports.intake.transaction() as kept:
        asked = {p: kept.conversations(p, (name,)).get(name) for p in products}
        found = {p: k for p, k in asked.items() if k is not None and k.provenance.authors}
        for each in found or products:
            known = found.get(each, _NEVER_CAME)
            kept.put_conversations(each, {name: known._replace(is_deleted=True)})
    return found


def _delete_rows_of(ports: Ports, product: ProductId, name: str, known: KnownConversation) -> int:
    rows = dict(_rows_of(ports, product, name))
    if not rows:
        return 0
    with ports.intake.transaction() as kept:
        ids = kept.ids(product, rows.values())
        kept.put_ids(product, {i: k._replace(state=IdState.DELETED) for i, k in ids.items()})
        _forget_documents(kept, product, ids)
    subject = min(a.account for a in known.provenance.authors)
    delete_rows(ports, [Deletion(subject, tuple(DeletedRow(product, o) for o in sorted(rows)))])
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


def _check_product(ports: Ports, product: ProductId | None) -> None:
    """Refuse a product that the policy does not have, after looking: it may be one that left."""
    if product is not None:
        with ports.ledger.directory() as directory:
            directory.policy.product(product)


def _products(ports: Ports, product: ProductId | None) -> tuple[ProductId, ...]:
    if product is not None:
        return (product,)
    with ports.ledger.directory() as directory:
        return tuple(p.id for p in directory.policy.products)

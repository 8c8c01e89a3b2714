"""Watching the operator: the head is shown to witnesses; a ledger that does not follow is read-only.

    opening   what was last seen, what witnesses have seen -> does the log follow? -> else the gate is shut
    keeping   head signed with both keys -> shown to each witness -> its cosignature kept -> seen

A backup that is restored knows nothing of what came after it: opt-outs are missing, and their positions
would be given again. So a ledger that is behind, or another one than was seen, takes nothing and yields
nothing: no capture, no build, no reader, no opt-in. No opt-out either: it would stand at a position for
which somebody holds another receipt, and be lost with the next restore. It is answered with "not
confirmed", and while the gate is shut no row is used anyway. Only a newer backup opens the gate again.

Any number of processes append and show at once, so a witness may know a longer log than the one that was
read a moment ago. Only a head read after its answer that is still shorter is a fault.

A witness that does not answer is told of and shuts nothing; the others count. Confirmations never wait
for witnesses.

Source: S29, S37, S38; C2SP tlog-witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from withhold.domain.ledger import EventKind
from withhold.domain.names import Position
from withhold.domain.notes import Signature, SignedNote, parse_note
from withhold.domain.witnesses import Missing, follows
from withhold.errors import StorageError, VerificationError, WitnessSilent
from withhold.ports import Ports, Seen, Witness
from withhold.services.events import readable
from withhold.services.log import said

TRIES = 3  # to show a head before another process shows a newer one

Head = Callable[[], bytes]
"""Returns the newest checkpoint."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of showing the head to a witness.

    Attributes:
        size: of the log that it has seen now; None when it did not answer.
        fault: why it did not, or why the log does not follow; empty when all is well.
    """

    witness: str
    size: int | None
    fault: str = ""


def check(ports: Ports) -> tuple[Report, ...]:
    """Hold the ledger against everything that was seen of it outside; shut the gate if it does not follow.

    Returns:
        What each witness answered.
    """
    seen = _seen(ports)  # before the head is read, so that the head is never older than that
    if ports.watch.gate.reason or not (_captures_fit(ports) and _erasures_fit(ports)):
        return ()
    if not seen and not ports.watch.witnesses:
        return ()
    now = said(ports.log.checkpoint())
    for each in seen:
        try:
            follows(said(each.checkpoint), now, ports.log.consistency)
        except VerificationError as error:
            ports.watch.gate.shut(str(error), error.position)
            return ()
    return tuple(
        _show(ports, each, _had(seen, each), ports.log.checkpoint) for each in ports.watch.witnesses
    )


def witness(ports: Ports) -> tuple[Report, ...]:
    """Keep a checkpoint of the head, show it to every witness, and note what was seen.

    Raises:
        LedgerBehind: the gate is shut.
        StorageError: the disk refused.
    """
    ports.watch.gate.check()
    if not ports.ledger.head():
        return ()
    seen = _seen(ports)

    def head() -> bytes:
        return ports.log.keep(ports.clock.now_ms() // 1000)

    head()
    reports = tuple(_show(ports, each, _had(seen, each), head) for each in ports.watch.witnesses)
    if not ports.watch.gate.reason:
        note(ports, {report.witness: report.size for report in reports if report.size})
    return reports


def note(ports: Ports, sizes: dict[str, int] | None = None) -> None:
    """Note the head as seen, in every place that keeps it; what is seen there already never shrinks.

    Args:
        ports: the stores.
        sizes: what witnesses have seen, by name.

    Raises:
        StorageError: the disk refused in the home; other places may refuse.
    """
    checkpoint = ports.log.checkpoint()
    for number, looks in enumerate(ports.watch.looks):
        try:
            before = looks.last()
            known = dict(before.witnesses) if before is not None else {}
            for name, size in (sizes or {}).items():
                known[name] = max(size, known.get(name, 0))
            fresh = Seen(checkpoint, known)
            if before is None or said(before.checkpoint).head.size <= said(checkpoint).head.size:
                looks.keep(fresh)
        except StorageError:
            if number == 0:
                raise


def lag(ports: Ports) -> dict[str, int]:
    """Return by how many entries each witness is behind the head, as far as the home has noted."""
    head = ports.ledger.head()
    return {name: max(0, head - size) for name, size in noted(ports).items()}


def noted(ports: Ports) -> dict[str, int]:
    """Return how many entries each witness had seen when that was last noted, in any place."""
    seen = _seen(ports)
    return {each.name: _had(seen, each) for each in ports.watch.witnesses}


def _seen(ports: Ports) -> list[Seen]:
    """Return what was last seen in every place; a damaged one shuts the gate."""
    found = []
    for looks in ports.watch.looks:
        try:
            seen = looks.last()
        except VerificationError as error:
            ports.watch.gate.shut(str(error), error.position)
            continue
        except StorageError:
            continue
        if seen is not None:
            found.append(seen)
    return found


def _had(seen: list[Seen], witness: Witness) -> int:
    return max((each.witnesses.get(witness.name, 0) for each in seen), default=0)


def _show(ports: Ports, witness: Witness, had: int, head: Head) -> Report:
    """Show a witness the head; shut the gate when it has seen what this log does not follow from."""
    try:
        size, cosignatures = _shown(ports, witness, had, head)
    except WitnessSilent as error:
        return Report(witness.name, None, str(error))
    except VerificationError as error:
        ports.watch.gate.shut(str(error), error.position)
        return Report(witness.name, None, str(error))
    if cosignatures:
        ports.log.cosign(size, cosignatures)
    return Report(witness.name, size)


def _shown(ports: Ports, witness: Witness, had: int, head: Head) -> tuple[int, Sequence[Signature]]:
    """Show a witness the head, again as long as other processes show it newer ones meanwhile.

    Raises:
        WitnessSilent: it did not answer, or newer heads came each time.
        VerificationError: it has seen what this log does not follow from.
    """
    for _ in range(TRIES):
        try:
            return _once(ports, witness, had, head())
        except Missing as error:
            now = ports.ledger.head()  # after its answer: what is missing now is nowhere
            if now < error.seen:
                raise Missing(now, error.seen) from error
    raise WitnessSilent(f"{witness.name}: others show it newer heads; it is asked again later")


def _once(ports: Ports, witness: Witness, had: int, note: bytes) -> tuple[int, Sequence[Signature]]:
    """Show a checkpoint with our own signatures alone; return its size and the cosignatures."""
    parsed = parse_note(note)
    own = tuple(line for line in parsed.signatures if line.name == ports.log.origin)
    shown = bytes(SignedNote(parsed.text, own))
    return said(shown).head.size, witness.show(shown, ports.log.consistency, had)


def _captures_fit(ports: Ports) -> bool:
    """Return whether every row that is in a file was captured; shut the gate when not (S32).

    A capture store that is older than the control store would number new rows as if the later ones had
    never been, and take refused ids in again.
    """
    for product, sealed, end in _ends(ports):
        if end < sealed:
            ports.watch.gate.shut(
                f"capture.db is older than control.db: rows {end + 1} to {sealed} of {product} are "
                "missing; restore both from backups of one moment"
            )
            return False
    return True


def _erasures_fit(ports: Ports) -> bool:
    """Return whether the ledger has the last erasure that its keys tell of; shut the gate when not.

    Keys stand apart, so an older ledger may lie beside newer keys: it proves by itself that it is older.
    """
    erased = ports.ledger.erased_to()  # before the head, so that the head is never older than that
    head = ports.ledger.head()
    if not erased or (erased <= head and _erases(ports, erased)):
        return True
    ports.watch.gate.shut(
        f"control.db is older than keys.db, or another one: it has {head} entries, and entry {erased} "
        "erased somebody; restore a newer backup of control.db, or the one that belongs to these keys",
        None if erased <= head else head + 1,
    )
    return False


def _erases(ports: Ports, position: Position) -> bool:
    record = readable(ports, position)
    return record is not None and record.kind is EventKind.ACCOUNT_ERASED


def _ends(ports: Ports) -> Iterator[tuple[str, int, int]]:
    if not ports.ledger.head():
        return
    with ports.ledger.directory() as directory:
        products = [product.id for product in directory.policy.products]
    for product in products:
        yield product, ports.files.sealed(product), ports.intake.end(product)

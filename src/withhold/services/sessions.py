"""Signing in and out.

Who may sign in as whom is the caller's to check; here a session begins for an account that exists, and
what has ended is no session. A new one has a new id every time, so nothing that was known before signing
in is worth anything afterwards.

Not here: ids, cookies and forms (`web.sessions`).
"""

from __future__ import annotations

from withhold.domain.directory import SubjectKind
from withhold.domain.names import AccountId
from withhold.domain.sessions import Session, begun
from withhold.ports import Ports
from withhold.services.preferences import unknown


def sign_in(ports: Ports, account: AccountId, id_hash: bytes, secret: bytes) -> Session:
    """Begin a session; return it once it is durable.

    Args:
        account: who signs in.
        id_hash: the SHA-256 of a fresh random id.
        secret: 32 fresh random bytes.

    Raises:
        UnknownAccount: there is no such account.
        StorageError: the disk refused; there is no session.
    """
    with ports.ledger.directory() as directory:
        subject = directory.find(SubjectKind.ACCOUNT, account)
    if subject is None:
        raise unknown(SubjectKind.ACCOUNT, account)
    now = ports.clock.now_ms()
    ports.sessions.sweep(now)
    session = begun(account, subject.no, secret, now)
    ports.sessions.add(id_hash, session)
    return session


def signed_in(ports: Ports, id_hash: bytes) -> Session | None:
    """Return the session of an id, None when there is none that has not ended.

    A session from before its account was erased is none, also when another has that id by now.
    """
    session = ports.sessions.find(id_hash)
    if session is None or session.is_over(ports.clock.now_ms()):
        return None
    with ports.ledger.directory() as directory:
        subject = directory.find(SubjectKind.ACCOUNT, session.account)
    return session if subject is not None and subject.no == session.no else None


def sign_out(ports: Ports, id_hash: bytes) -> None:
    """End a session, durably; one that has ended already is no error."""
    ports.sessions.end(id_hash)

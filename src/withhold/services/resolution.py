"""Whose content a row is, and whether it may be kept, at one snapshot.

A batch is decided at one snapshot of the directory and one consent table that is not older. Rows of a
batch share few accounts and few party sets, so each answer is found once.

Not here: what a row repeats (`capture_memory`), the rules themselves (`domain.parties`,
`domain.admission`).
"""

from __future__ import annotations

from collections.abc import Iterable
from weakref import WeakKeyDictionary

from withhold.domain.admission import Admitted, admit
from withhold.domain.directory import Directory, Subject, SubjectKind
from withhold.domain.interactions import Interaction, Provenance
from withhold.domain.names import OrganizationId, PartyNo, Position, ProductId, SubjectNo
from withhold.domain.parties import Author, parties_of
from withhold.domain.tokens import position_of
from withhold.errors import (
    InputError,
    TokenRefused,
    UnknownAccount,
    UnknownOrganization,
    UnknownProduct,
)
from withhold.ports import Ledger

Parties = tuple[PartyNo, ...]
_Who = tuple[str, OrganizationId | None, ProductId, tuple[str, ...], str | None]
_Key = tuple[Provenance, ProductId]

MEMORY = 50_000
"""How many answers of each kind are kept while the ledger stands still."""


class Answers:
    """What was found at one head of the directory and one position of the table; good only there."""

    def __init__(self, at: tuple[Position, Position]) -> None:
        """Begin with nothing known."""
        self.at = at
        self.owns: dict[
            Position, dict[_Who, Provenance]
        ] = {}  # by the stamp of rows without a token
        self.parties: dict[_Key, tuple[Parties, bool]] = {}

    def is_good_at(self, at: tuple[Position, Position]) -> bool:
        """Return whether the answers hold there and are not too many to keep."""
        owns = sum(len(each) for each in self.owns.values())
        return self.at == at and max(owns, len(self.parties)) < MEMORY


_LAST: WeakKeyDictionary[Ledger, Answers] = WeakKeyDictionary()
"""The newest answers by ledger: while its head stands still, batches need not ask again."""


def _answers(ledger: Ledger, at: tuple[Position, Position]) -> Answers:
    answers = _LAST.get(ledger)
    if answers is None or not answers.is_good_at(at):
        answers = _LAST[ledger] = Answers(at)
    return answers


class Resolver:
    """Resolves rows of one batch against one snapshot.

    Attributes:
        stamp: the position of a row that carries no token.
    """

    def __init__(self, ledger: Ledger, directory: Directory, stamp: Position) -> None:
        """Take the consent table, after the snapshot and so never older than it."""
        self._directory = directory
        self._standings = ledger.standings()
        self._token_key = ledger.token_key()
        self.stamp = stamp
        self._tokens: dict[str, Position] = {}
        answers = _answers(ledger, (directory.head, self._standings.position))
        self._owns = answers.owns.setdefault(stamp, {})
        self._parties = answers.parties

    def own(self, row: Interaction) -> Provenance:
        """Return whose content a row is by itself, and since when.

        It is nobody's where it may never be used, whatever comes: somebody of it was erased, or the product
        is offered no more.

        Raises:
            InputError: an account, organisation, product or token is not known or not theirs.
        """
        who = (row.account, row.organization, row.product, row.participants, row.token)
        own = self._owns.get(who)
        if own is None:
            position = self.position(row)
            try:
                authors = self._authors_of(row)
            except (UnknownAccount, UnknownProduct):
                if not self._is_gone(row):
                    raise
                authors = frozenset()
            own = self._owns[who] = Provenance(authors, position)
        return own

    def position(self, row: Interaction) -> Position:
        """Return since when a row is by itself.

        Raises:
            TokenRefused: its token is forged, altered, or ahead of the ledger.
        """
        return self.stamp if row.token is None else self._position_of(row.token)

    def _is_gone(self, row: Interaction) -> bool:
        """Return whether somebody of a row was erased, or the product had them and is offered no more."""
        directory, kind = self._directory, SubjectKind.ACCOUNT
        found = {name: directory.find(kind, name) for name in (row.account, *row.participants)}
        if any(who is None and directory.erased_at(kind, n) for n, who in found.items()):
            return True
        had = any(who and row.product in who.holdings for who in found.values())
        return had and not self.offers(row.product)

    def offers(self, product: ProductId) -> bool:
        """Return whether the policy in force has a product."""
        return any(each.id == product for each in self._directory.policy.products)

    def resolve(self, provenance: Provenance, product: ProductId) -> tuple[Parties, bool]:
        """Return all parties of a row, and whether they admit it.

        Raises:
            InputError: an author cannot be resolved.
        """
        key = (provenance, product)
        found = self._parties.get(key)
        if found is None:
            parties = parties_of(provenance.authors, product, provenance.position, self._directory)
            found = self._parties[key] = (parties, self.admits(parties, provenance.position))
        return found

    def refuses(self, row: Interaction) -> bool:
        """Return whether a signal that came with the row withholds it, by the policy in force."""
        if not row.refusals:
            return False
        honoured = self._directory.policy.product(row.product).honours
        return any(signal in honoured for signal in row.refusals)

    def is_same(self, then: Provenance, now: Provenance) -> bool:
        """Return whether rows of these provenances are of the same parties and equally admitted.

        So they are, in every product, when their authors are the same, nothing about any of them or
        their organisations changed since the older one, and no plan they share did either. What is not
        the same by this may be so all the same; that costs a closer look, never a row too few.
        """
        if then.authors != now.authors or not self._is_quiet(then.authors, then.position):
            return False
        try:
            return all(
                self.resolve(then, p.id)[1] == self.resolve(now, p.id)[1]
                for p in self._directory.policy.products
            )
        except InputError:  # in a product that somebody of them does not have
            return False

    def _is_quiet(self, authors: Iterable[Author], since: Position) -> bool:
        """Return whether no entry after a position is about these authors or their organisations."""
        for author in authors:
            account = self._directory.subject(author.account)
            places = (self._directory.subject(m.organization) for m in account.memberships)
            if any(subject.last > since for subject in (account, *places)):
                return False
        return True

    def admits(self, parties: Parties, position: Position) -> bool:
        """Return whether a row of these parties at a position may be used."""
        return isinstance(admit(parties, position, self._standings), Admitted)

    def _position_of(self, token: str) -> Position:
        position = self._tokens.get(token)
        if position is None:
            position = position_of(self._token_key, token)
            if position > self._directory.head:
                raise TokenRefused("capture token: ahead of the ledger; take one from GET /v1/head")
            self._tokens[token] = position
        return position

    def _authors_of(self, row: Interaction) -> frozenset[Author]:
        self._directory.policy.product(row.product)
        organization = None if row.organization is None else self._organization(row.organization)
        account = self._account(row.account, "account")
        author = Author(account.no, organization, row.product)
        if organization is not None and not _belongs(account, organization):
            # asks now, so that such a row is refused before anything is remembered of it
            parties_of((author,), row.product, self.stamp, self._directory)
        guests = (self._account(name, "participants") for name in row.participants)
        return frozenset((author, *(_participant(g, organization, row.product) for g in guests)))

    def _account(self, name: str, field: str) -> Subject:
        found = self._directory.find(SubjectKind.ACCOUNT, name)
        if found is None:
            raise UnknownAccount(f"{field}: no such account; open it with PUT /v1/accounts first")
        return found

    def _organization(self, name: OrganizationId) -> SubjectNo:
        found = self._directory.find(SubjectKind.ORGANIZATION, name)
        if found is None:
            raise UnknownOrganization(
                "organization: no such organization; open it with PUT /v1/organizations first"
            )
        return found.no


def _participant(guest: Subject, organization: SubjectNo | None, product: ProductId) -> Author:
    """Return a participant as an author; for a guest of the organisation all of their own count."""
    belongs = organization is not None and _belongs(guest, organization)
    return Author(guest.no, organization if belongs else None, product)


def _belongs(account: Subject, organization: SubjectNo) -> bool:
    """Return whether an account is or ever was a member."""
    return any(m.organization == organization for m in account.memberships)

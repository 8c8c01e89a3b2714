"""Every error Withhold raises, by who has to act.

    WithholdError
    ├── InputError                the caller sent something wrong; nothing was done
    │   ├── UnknownAccount            no such account
    │   ├── UnknownOrganization       no such organisation
    │   ├── UnknownProduct            the policy has no such product
    │   ├── UnknownPlan               the policy has no such plan of that product
    │   ├── UnknownDataset            no such dataset or version
    │   ├── UnknownRow                no such interaction or conversation
    │   ├── UnknownReceipt            no such receipt
    │   ├── EntryErased               the entry's person was erased; it can no longer be opened
    │   ├── TokenRefused              a capture token is forged, altered, or ahead of the ledger
    │   ├── TooLarge                  a body, line or value is over its cap
    │   └── PolicyFileError           the policy file is not valid; names line and reason
    ├── NotAuthorized             no valid credential
    │   └── ScopeMissing              the credential does not reach this
    ├── PolicyError               a rule said no
    │   ├── LockedByPlan              the plan's lock lets nobody turn training on
    │   └── NotAnAdmin                only an admin of the organisation may change this
    ├── ConflictError             look again, then try again
    │   ├── LedgerMoved               something newer stands in the ledger
    │   ├── PreconditionFailed        an If-Match names an older entry
    │   ├── KeyReused                 an idempotency key came with another body
    │   ├── NameTaken                 another builder committed first
    │   ├── NotTagged                 the version's tags are not made yet
    │   └── FenceClosed               a party of the files was withdrawn since the cutoff
    ├── LeaseExpired              a reader could not renew its lease and stopped
    ├── StateUnknown              the commit may or may not have happened: do not clean up, ask again
    ├── VerificationError         bytes do not match their hash, chain or signature
    ├── WitnessSilent             a witness did not answer; nothing depends on it
    └── StorageError              the disk or the database refused; nothing was confirmed
        └── LedgerBehind              somebody has seen a newer ledger, or another one: it is read-only

Messages are one sentence: what happened, what was expected, what to do. They never carry content,
credentials or e-mail addresses.
"""

from __future__ import annotations


class WithholdError(Exception):
    """The root of all errors raised on purpose."""

    def diagnostics(self) -> str:
        """Return the one line a person should read."""
        return str(self)


class InputError(WithholdError):
    """The caller sent something wrong; nothing was done."""


class UnknownAccount(InputError):
    """No such account."""


class UnknownOrganization(InputError):
    """No such organisation."""


class UnknownProduct(InputError):
    """The policy has no such product."""


class UnknownPlan(InputError):
    """The policy has no such plan of that product."""


class UnknownDataset(InputError):
    """No such dataset or version."""


class UnknownRow(InputError):
    """No such interaction or conversation."""


class UnknownReceipt(InputError):
    """No such receipt."""


class EntryErased(InputError):
    """The entry's person was erased: nobody can open it any more."""


class TokenRefused(InputError):
    """A capture token is forged, altered, or ahead of the ledger."""


class TooLarge(InputError):
    """A body, a line or a value is over its cap."""


class PolicyFileError(InputError):
    """The policy file is not valid.

    Attributes:
        line: 1-based line of the fault, 0 when it belongs to no line.
        reason: what is wrong there.
    """

    def __init__(self, reason: str, *, line: int = 0) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}" if line else reason)


class NotAuthorized(WithholdError):
    """No valid credential came with the request."""


class ScopeMissing(NotAuthorized):
    """The credential is valid but does not reach this."""


class PolicyError(WithholdError):
    """A rule said no."""


class LockedByPlan(PolicyError):
    """The plan's lock lets nobody turn training on (A4)."""


class NotAnAdmin(PolicyError):
    """Only an admin of the organisation may change what the organisation holds."""


class ConflictError(WithholdError):
    """The world changed meanwhile: look again, then try again."""


class LedgerMoved(ConflictError):
    """Something newer than the caller expected stands in the ledger."""


class PreconditionFailed(ConflictError):
    """An If-Match names an older entry than the one that stands."""


class KeyReused(ConflictError):
    """An idempotency key came again with another body."""


class NameTaken(ConflictError):
    """Another builder committed this version first."""


class NotTagged(ConflictError):
    """The tags of a version are not made yet; they follow its commit."""


class FenceClosed(ConflictError):
    """A party of the dataset's files was withdrawn after the cutoff.

    Attributes:
        positions: the entries that closed the fence.
    """

    def __init__(self, message: str, *, positions: tuple[int, ...]) -> None:
        self.positions = positions
        super().__init__(message)


class LeaseExpired(WithholdError):
    """A reader's lease ended and could not be renewed; it yields nothing more."""


class StateUnknown(WithholdError):
    """A commit may or may not have happened: do not clean up, do not retry blindly, ask again."""


class VerificationError(WithholdError):
    """Bytes do not match the hash, chain or signature they were promised with.

    Attributes:
        position: the first position of the ledger that does not hold, None when it is not about one.
        step: the number of the step of checking that failed, None where no steps are taken.
    """

    def __init__(
        self, message: str, *, position: int | None = None, step: int | None = None
    ) -> None:
        self.position = position
        self.step = step
        super().__init__(message)


class WitnessSilent(WithholdError):
    """A witness did not answer, or nothing that can be understood; the others count."""


class StorageError(WithholdError):
    """The disk or the database refused; nothing was confirmed."""


class LedgerBehind(StorageError):
    """Somebody has seen a newer ledger, or another one: this one takes nothing and yields nothing (S29)."""

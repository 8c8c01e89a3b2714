"""What the people of the demo send: chats, documents and chats that attach them, API calls, feedback.

Ids are made of who sends and a number, so that loading the demo again sends the same rows, which are
then duplicates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import cycle, islice

from withhold.demo.corpus import CALLS, CHATS, DOCUMENTS, Dialogue, dialogues
from withhold.demo.people import COHORTS, STUDIO, VIBE, Cohort
from withhold.domain.interactions import Interaction, InteractionKind, Message
from withhold.domain.names import AccountId, ProductId

DIALOGUES_PER_DOCUMENT = 12

Sent = dict[AccountId, list[Interaction]]


def everything() -> Sent:
    """Return what everybody sends, in order."""
    sent: Sent = {account: [] for cohort in COHORTS for account in cohort.accounts}
    for (cohort, account), (number, dialogue) in _dealt(VIBE, dialogues(CHATS)):
        sent[account].append(_chat(cohort, account, number, dialogue))
    for (cohort, account), text in zip(cycle(_senders(VIBE)), _documents(), strict=False):
        document = _document(cohort, account, text)
        sent[account] += [document, _about_document(cohort, account, document)]
    for (cohort, account), (number, dialogue) in _dealt(STUDIO, dialogues(CALLS)):
        sent[account].append(_call(cohort, account, number, dialogue))
    for cohort, account in islice(_senders(VIBE), 0, None, 3):
        sent[account].append(_feedback(cohort, account))
    shared = _shared()
    sent[shared.account].append(shared)
    return sent


def _dealt(
    product: ProductId, items: Iterator[Dialogue]
) -> Iterator[tuple[tuple[Cohort, AccountId], tuple[int, Dialogue]]]:
    """Deal dialogues to everybody of a product in turn; each counts their own from 1."""
    people = list(_senders(product))
    for number, dialogue in enumerate(items):
        yield people[number % len(people)], (number // len(people) + 1, dialogue)


def _senders(product: ProductId) -> Iterator[tuple[Cohort, AccountId]]:
    for cohort in COHORTS:
        if cohort.product == product:
            yield from ((cohort, account) for account in cohort.accounts)


def _chat(cohort: Cohort, account: AccountId, number: int, dialogue: Dialogue) -> Interaction:
    name = f"{account}-chat-{number}"
    return Interaction(
        name,
        VIBE,
        InteractionKind.CONVERSATION,
        account,
        _messages(dialogue),
        cohort.organization,
        conversation=name,
    )


def _document(cohort: Cohort, account: AccountId, text: str) -> Interaction:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Interaction(
        f"{account}-document-{digest[:8]}",
        VIBE,
        InteractionKind.DOCUMENT,
        account,
        (Message("user", text),),
        cohort.organization,
        sha256=digest,
    )


def _about_document(cohort: Cohort, account: AccountId, document: Interaction) -> Interaction:
    assert document.sha256 is not None
    first = document.messages[0].content.splitlines()
    return Interaction(
        document.id.replace("-document-", "-reading-"),
        VIBE,
        InteractionKind.CONVERSATION,
        account,
        (Message("user", first[0]), Message("assistant", first[1])),
        cohort.organization,
        conversation=document.id.replace("-document-", "-reading-"),
        attachments=(document.sha256,),
    )


def _call(cohort: Cohort, account: AccountId, number: int, dialogue: Dialogue) -> Interaction:
    return Interaction(
        f"{account}-call-{number}",
        STUDIO,
        InteractionKind.API_CALL,
        account,
        _messages(dialogue),
        cohort.organization,
        project=f"{cohort.organization}-assistant",
        api_key=f"{cohort.organization}-key",
    )


def _feedback(cohort: Cohort, account: AccountId) -> Interaction:
    return Interaction(
        f"{account}-feedback-1",
        VIBE,
        InteractionKind.FEEDBACK,
        account,
        (Message("user", "Thumbs up"),),
        cohort.organization,
        about=f"{account}-chat-1",
    )


def _shared() -> Interaction:
    """Return a chat of two people, one of whom opts out later: one off withholds it for both."""
    free = COHORTS[0]
    return Interaction(
        f"{free.account(1)}-shared-1",
        VIBE,
        InteractionKind.CONVERSATION,
        free.account(1),
        (Message("user", "Shall we plan the trip here?"), Message("assistant", "Gladly.")),
        participants=(free.account(6),),
        conversation=f"{free.account(1)}-shared-1",
    )


def _documents() -> Iterator[str]:
    """Yield notes: questions and answers of a dozen dialogues, one a line."""
    lines = [list(dialogue.turns[:2]) for dialogue in dialogues(DOCUMENTS)]
    for start in range(0, len(lines), DIALOGUES_PER_DOCUMENT):
        yield "\n".join(
            line for pair in lines[start : start + DIALOGUES_PER_DOCUMENT] for line in pair
        )


def _messages(dialogue: Dialogue) -> tuple[Message, ...]:
    roles = cycle(("user", "assistant"))
    return tuple(Message(role, turn) for role, turn in zip(roles, dialogue.turns, strict=False))

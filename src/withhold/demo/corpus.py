"""The dialogues of the demo: a selection of the ``chatterbot-corpus`` package.

A corpus that users contributed, with a BSD licence; YAML files by language and category. Whole categories
are chosen, never single lines by their words: small talk, science, code, support, proverbs. Left out are
categories about politics and religion, those that insult, those in which a bot speaks of itself, and
those whose lines are alternatives rather than turns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import yaml

from withhold.errors import VerificationError

CHATS: dict[str, tuple[str, ...]] = {
    "english": ("conversations", "greetings", "science", "food", "money"),
    "french": ("conversations", "greetings", "food"),
    "german": ("conversations", "greetings", "food", "movies"),
    "spanish": ("conversations", "greetings", "dinero"),
    "italian": ("conversations", "greetings", "food", "science"),
    "portuguese": ("conversations", "greetings", "proverbs", "suggestions", "games"),
}
"""What becomes chats, by language."""

DOCUMENTS: dict[str, tuple[str, ...]] = {
    "english": ("literature",),
    "portuguese": ("history_brasil", "linguistic_knowledge"),
}
"""What becomes documents: questions and answers as notes."""

CALLS: dict[str, tuple[str, ...]] = {"english": ("coding", "tech_support")}
"""What becomes API calls."""

MOST_OF_A_CATEGORY = 200  # the support category alone is a quarter of the whole corpus

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One dialogue: turns of two who speak in turn, the first of them the user."""

    category: str
    turns: tuple[str, ...]


def dialogues(chosen: dict[str, tuple[str, ...]]) -> Iterator[Dialogue]:
    """Yield the dialogues of the chosen categories, in an order that never changes.

    Raises:
        VerificationError: a file of the corpus is not of the form that is expected.
    """
    for language, categories in chosen.items():
        for category in categories:
            yield from _category(language, category)


def _category(language: str, category: str) -> Iterator[Dialogue]:
    folder = resources.files("chatterbot_corpus") / "data" / language
    text = (folder / f"{category}.yml").read_text(encoding="utf-8")
    content = yaml.load(text, Loader=_LOADER)  # noqa: S506 (a safe loader, in C where there is one)
    found = content.get("conversations") if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise VerificationError(
            f"corpus: {language}/{category} has no conversations; expected chatterbot-corpus 1.2 or later"
        )
    for turns in found[:MOST_OF_A_CATEGORY]:
        said = tuple(turn.strip() for turn in turns if isinstance(turn, str) and turn.strip())
        if len(said) > 1:
            yield Dialogue(f"{language}/{category}", said)

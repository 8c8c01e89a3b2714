"""Model of capture, parties and standings: which rows may be in a dataset committed now.

One account, ana; one organisation, acme; two places ana can be: at home (her own plan) and at acme (the
organisation's plan). Each plan has a default and a lock. Ana writes one row, which may use one document.

**The protocol** is design sections 1 and 2: a row has one position and a set of parties, both fixed when
it arrives, and is admitted while ``on_since <= position`` for each of them.

**The truth** is kept beside it by other means, and the protocol never reads it: for each content the
head at which it really was made and everyone who spoke for it from then until its row arrived, seen step
by step; for each party the last head at which it was out. Content is *forbidden* once any of its parties
was out at or after the head at which it was made. The promises, in every state, since a build may commit
in any:

- I1, I2: a forbidden row is not admitted (I2 if it was made while a party was out, I1 otherwise);
- withheld only grows: a stored row that was withheld once is not admitted later.

Assumed: what is sent without a token is made when it is first sent (the synchronous path, where the
server's head at acceptance is its stamp). Content that waits somewhere before its first sending needs a
token; no protocol can tell otherwise.

Not here: vectors and builds (`fence_model`), merges of accounts, erasure, roles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .breaks import Break
from .search import Step, Trace

ANA, ACME = 0, 1  # the holders, and their parties
HOME, WORK = 0, 1  # the places: ana's own plan, and acme's
DEFAULT, LOCK = (2, 3), (4, 5)  # the parties of each place's plan
PARTIES = ("ana", "acme", "home.default", "work.default", "home.lock", "work.lock")
PLACES = ("home", "acme")

OPEN = OUT = 99  # "has not ended", and the standing of whoever is out
NEVER = -1
ROW, DOC = 0, 1


class Content(NamedTuple):
    """A prompt or a document, as the protocol knows it and as it really is."""

    token: int = NEVER  # the position of the token taken for it
    position: int = NEVER  # what its row is stamped with
    parties: frozenset[int] = frozenset()  # whose opt-out withholds its row
    stored: bool = False
    refused: bool = False  # its id is remembered as refused
    withheld_once: bool = False
    made: int = NEVER  # truth: the head at which it was made
    speakers: frozenset[int] = frozenset()  # truth: its parties from then until its row arrived
    made_while_out: bool = False  # truth


class State(NamedTuple):
    """The directory, the two contents, and the history that the truth needs."""

    head: int
    opened: bool
    place: int
    until: tuple[int, int]  # when ana's latest time at each place ended
    choice: tuple[str, str]  # what ana and acme said themselves: "", "in" or "out"
    unchosen_until: tuple[int, int]  # when their latest time without a choice ended
    on_since: tuple[int, ...]  # by party
    contents: tuple[Content, Content]
    last_out: tuple[int, ...]  # truth, by party: the last head at which it was out


@dataclass(frozen=True)
class World:
    """The bounds of one search: what may happen, and how many entries the ledger may get."""

    name: str
    verbs: frozenset[str]
    entries: int
    uses_document: bool = False


class StandingModel:
    """The sound protocol, or a variant of it with something done wrong."""

    def __init__(self, world: World, broken: frozenset[Break] = frozenset()) -> None:
        self.world = world
        self.broken = broken
        self.opens = "sign_up" in world.verbs
        self.preamble: Trace = () if self.opens else (("sign_up", "ana", "on"),)

    @property
    def start(self) -> State:
        """Ana at home, never out; not yet opened where signing up is a step of its own."""
        ana = OUT if self.opens else 0  # unknown is out
        state = State(
            head=0,
            opened=not self.opens,
            place=HOME,
            until=(OPEN, NEVER),
            choice=("", ""),
            unchosen_until=(OPEN, OPEN),
            on_since=(ana, 0, 0, 0, 0, 0),
            contents=(Content(), Content()),
            last_out=(NEVER,) * len(PARTIES),
        )
        return self._observed(state)

    # --- what can happen ---------------------------------------------------------------------------

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield every act that the world allows, with the state it leaves."""
        if state.head < self.world.entries:
            for step, after in self._entries(state):
                if step[0] in self.world.verbs:
                    yield step, self._observed(after._replace(head=state.head + 1))
        for which in (DOC, ROW) if self.world.uses_document else (ROW,):
            for step, after in self._captures(state, which):
                yield step, self._observed(after)

    def _entries(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield the acts that append an entry; each leaves the head to its caller."""
        next_position = state.head + 1
        if not state.opened or Break.SECOND_BASELINE in self.broken:
            for opens, standing in (("on", 0), ("on_from_now", next_position), ("out", OUT)):
                opened = _choose(state, ANA, "out") if opens == "out" else state
                yield ("sign_up", "ana", opens), _set(opened, ANA, standing)._replace(opened=True)
        if not state.opened:
            return
        for holder in (ANA, ACME):
            name = PARTIES[holder]
            if state.choice[holder] != "out":
                yield ("opt_out", name), _set(_choose(state, holder, "out"), holder, OUT)
            place = WORK if holder == ACME else state.place
            locked = state.on_since[LOCK[place]] == OUT  # a lock blocks only turning on
            if state.choice[holder] != "in" and not locked:
                was_out = state.on_since[holder] == OUT
                chosen = _choose(state, holder, "in")
                # an explicit in changes the standing only of a holder that itself was out
                yield ("opt_in", name), _set(chosen, holder, next_position) if was_out else chosen
        yield ("move", "ana", PLACES[1 - state.place]), _moved(state)
        for place in (HOME, WORK):
            for verb, parties in (("default", DEFAULT), ("lock", LOCK)):
                party = parties[place]
                off = state.on_since[party] == OUT
                how = {"default": ("off", "on"), "lock": ("on", "off")}[verb][off]
                yield (verb, PLACES[place], how), _set(state, party, next_position if off else OUT)

    def _captures(self, state: State, which: int) -> Iterator[tuple[Step, State]]:
        """Yield the acts of the product around one content; none of them appends an entry."""
        content, name = state.contents[which], ("r1", "d1")[which]
        if content.stored or (content.refused and Break.TOKENLESS_RETRY not in self.broken):
            return
        if content.made == NEVER:
            if "token" in self.world.verbs and content.token == NEVER:
                yield ("token", name), _put(state, which, content._replace(token=state.head))
            if content.token != NEVER:
                yield ("accept", name), _put(state, which, _made(state, content))
        if content.token == NEVER or content.refused:
            yield from self._arrival(state, which, state.head, "tokenless")
        elif content.made != NEVER:
            if Break.STAMP_BY_CLAIM in self.broken:
                yield from self._arrival(state, which, state.head, "claim")
            by_arrival = Break.STAMP_BY_ARRIVAL in self.broken
            stamp = state.head if by_arrival else content.token
            yield from self._arrival(state, which, stamp, "token")

    def _arrival(
        self, state: State, which: int, stamp: int, how: str
    ) -> Iterator[tuple[Step, State]]:
        """Yield what becomes of a content that arrives: nothing, refused, or stored."""
        if not state.opened and Break.LATE_BASELINE not in self.broken:
            return  # an unknown account is rejected
        content = state.contents[which]
        content = content if content.made != NEVER else _made(state, content)
        document = state.contents[DOC]
        uses = self.world.uses_document and which == ROW
        if uses and not document.stored:
            return  # withheld for ever: it repeats something that was never captured
        if uses and Break.OWN_TIME_ONLY not in self.broken:
            stamp = min(stamp, document.position)
        parties = self._parties(state, content.token if how == "token" else state.head, stamp)
        if uses:
            parties |= document.parties
        if state.opened and any(state.on_since[party] == OUT for party in parties):
            content = content._replace(refused=True)
        else:
            content = content._replace(stored=True, position=stamp, parties=parties)
        verb = "attach" if which == DOC else "chat"
        using = ("d1",) if uses else ()
        yield (verb, ("r1", "d1")[which], "ana", how, *using), _put(state, which, content)

    def _parties(self, state: State, token: int, stamp: int) -> frozenset[int]:
        """Return whose opt-out withholds a row, as records tell it: all since its stamp."""
        since = min(token, stamp)
        found = {ANA}
        for place in (HOME, WORK):
            until = state.until[place]
            if Break.PARTIES_AT_ARRIVAL in self.broken:
                counts = until == OPEN
            elif Break.PARTIES_AT_TOKEN in self.broken:
                counts = self._was_at(state, place, since)
            else:
                counts = until > since
            if counts:
                chooser = ACME if place == WORK else ANA
                found |= {ACME} if place == WORK else set()
                found |= {DEFAULT[place]} if state.unchosen_until[chooser] > since else set()
                if Break.LOCK_ESCAPED not in self.broken or state.choice[chooser] != "in":
                    found.add(LOCK[place])
        return frozenset(found)

    def _was_at(self, state: State, place: int, position: int) -> bool:
        """Return whether ana was there at a position; only her latest move is looked at."""
        other = state.until[1 - place]
        return state.until[place] > position and (other == NEVER or other <= position)

    # --- what must hold ------------------------------------------------------------------------------

    def violated(self, state: State) -> str | None:
        """Return a promise that a build committed in this state would break."""
        row = state.contents[ROW]
        if not _admitted(state, row):
            return None
        for content in state.contents if self.world.uses_document else (row,):
            if any(state.last_out[party] >= content.made for party in content.speakers):
                return "I2" if content.made_while_out else "I1"
        return "withheld only grows" if row.withheld_once else None

    def shown_by(self, state: State) -> Trace:
        """Return the build in which the row must not be."""
        return (("build", "chat"),)

    def _observed(self, state: State) -> State:
        """Return the state with the truth brought up to date, and what was withheld noted."""
        last_out = tuple(
            state.head if _is_out(state, party) else last
            for party, last in enumerate(state.last_out)
        )
        row, document = state.contents
        now = frozenset(_speakers(state))
        if document.made != NEVER and not row.stored:  # a document is used until the row arrives
            document = document._replace(speakers=document.speakers | now)
        if row.made != NEVER and not row.stored:
            row = row._replace(speakers=row.speakers | now)
        if row.stored and not _admitted(state, row):
            row = row._replace(withheld_once=True)
        return state._replace(last_out=last_out, contents=(row, document))


def _moved(state: State) -> State:
    """Return the directory after ana went to the other place."""
    there, position = 1 - state.place, state.head + 1
    until = (OPEN, position) if there == HOME else (position, OPEN)
    after = state._replace(place=there, until=until)
    if _is_on(state) and _is_on(after):
        return after  # a move that is on before and after changes nothing
    if state.choice[ANA] == "out":
        return after  # an explicit out stays
    after = _set(after, ANA, position)
    return _choose(after, ANA, "") if state.choice[ANA] == "in" else after


def _choose(state: State, holder: int, choice: str) -> State:
    """Return the directory with another choice of a holder; "" clears it."""
    unchosen = state.unchosen_until[holder]
    if not choice:
        unchosen = OPEN
    elif not state.choice[holder]:
        unchosen = state.head + 1
    choices = (choice, state.choice[ACME]) if holder == ANA else (state.choice[ANA], choice)
    spells = state.unchosen_until
    spells = (unchosen, spells[ACME]) if holder == ANA else (spells[ANA], unchosen)
    return state._replace(choice=choices, unchosen_until=spells)


def _set(state: State, party: int, standing: int) -> State:
    before = state.on_since
    return state._replace(on_since=(*before[:party], standing, *before[party + 1 :]))


def _put(state: State, which: int, content: Content) -> State:
    row, document = state.contents
    return state._replace(contents=(content, document) if which == ROW else (row, content))


def _made(state: State, content: Content) -> Content:
    speakers = frozenset(_speakers(state))
    out = any(_is_out(state, party) for party in speakers)
    return content._replace(made=state.head, speakers=speakers, made_while_out=out)


def _speakers(state: State) -> Iterator[int]:
    """Yield everyone whose opt-out counts for what ana makes right now."""
    yield ANA
    if state.place == WORK:
        yield ACME
    yield LOCK[state.place]
    if not state.choice[ACME if state.place == WORK else ANA]:
        yield DEFAULT[state.place]


def _is_out(state: State, party: int) -> bool:
    """Return whether a party is out now: holders by what they said, plans by their switches."""
    if party in (ANA, ACME):
        return state.choice[party] == "out"
    return state.on_since[party] == OUT


def _is_on(state: State) -> bool:
    """Return whether ana's content may be used where she is now."""
    return not any(_is_out(state, party) for party in _speakers(state))


def _admitted(state: State, row: Content) -> bool:
    return row.stored and all(state.on_since[party] <= row.position for party in row.parties)

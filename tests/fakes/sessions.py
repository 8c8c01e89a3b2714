"""`Sessions` in memory, with faults: asked under ``sessions.`` and add, end, end_all or sweep."""

from __future__ import annotations

from tests.fakes.faults import Faults, no_faults, written
from withhold.domain.names import AccountId
from withhold.domain.sessions import PER_ACCOUNT, Session


class MemorySessions:
    """The sessions of a test."""

    def __init__(self, faults: Faults = no_faults) -> None:
        self._faults = faults
        self._kept: dict[bytes, Session] = {}

    def add(self, id_hash: bytes, session: Session) -> None:
        def keep() -> None:
            self._kept[id_hash] = session
            own = [h for h, s in self._kept.items() if s.account == session.account]
            by_age = sorted(own, key=lambda h: (h == id_hash, self._kept[h].made_at))
            for oldest in by_age[:-PER_ACCOUNT]:
                del self._kept[oldest]

        written(self._faults, "sessions.add", keep)

    def find(self, id_hash: bytes) -> Session | None:
        return self._kept.get(id_hash)

    def end(self, id_hash: bytes) -> None:
        written(self._faults, "sessions.end", lambda: self._kept.pop(id_hash, None))

    def end_all(self, account: AccountId) -> None:
        own = [h for h, s in self._kept.items() if s.account == account]

        def forget() -> None:
            for id_hash in own:
                del self._kept[id_hash]

        written(self._faults, "sessions.end_all", forget)

    def sweep(self, now_ms: int) -> int:
        over = [h for h, s in self._kept.items() if s.ends_at <= now_ms]

        def forget() -> int:
            for id_hash in over:
                del self._kept[id_hash]
            return len(over)

        return written(self._faults, "sessions.sweep", forget)

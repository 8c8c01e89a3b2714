"""The sound protocol is not sound by doing nothing: what people and jobs ask for does happen."""

from __future__ import annotations

from .fence_model import FenceModel
from .fence_model import State as Lake
from .lease_model import LeaseModel
from .lease_model import State as Reading
from .model import BUILDING, DOCUMENTS, PLACES
from .search import search
from .standing_model import ROW, StandingModel
from .standing_model import State as Standing


class Admits(StandingModel):
    """Stops at the first row that is admitted, of somebody who once was out."""

    def violated(self, state: Standing) -> str | None:
        row = state.contents[ROW]
        admitted = row.stored and all(state.on_since[p] <= row.position for p in row.parties)
        return "admitted" if admitted and max(state.last_out) >= 0 else None


class Commits(FenceModel):
    """Stops at the first dataset that holds rows although the ledger is full of choices."""

    def violated(self, state: Lake) -> str | None:
        if state.dataset is None or not state.dataset[1]:
            return None
        return "committed" if len(state.entries) == self.world.entries else None


class Renews(LeaseModel):
    """Stops at the first reader whose second lease runs."""

    def violated(self, state: Reading) -> str | None:
        return "renewed" if state.clock > 2 and state.ends > state.clock else None


def test_a_row_written_after_an_opt_in_is_admitted() -> None:
    assert search(Admits(PLACES)).promise == "admitted"


def test_a_row_with_a_document_from_after_an_opt_in_is_admitted() -> None:
    assert search(Admits(DOCUMENTS)).promise == "admitted"


def test_a_build_commits_after_opt_outs_with_the_rows_that_are_left() -> None:
    assert search(Commits(BUILDING)).promise == "committed"


def test_an_open_reader_renews_its_lease() -> None:
    assert search(Renews(5)).promise == "renewed"

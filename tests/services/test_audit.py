"""The audit finds whatever does not hold, and names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from pyroaring import BitMap

from tests.lake_world import VIBE, World, world
from withhold.domain.admission import Reason
from withhold.domain.names import FileNo
from withhold.domain.vectors import ConsentVector
from withhold.services import audit, builds


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.store((1, [0, 1]), (1, [1, 2]), (1, [3]))
        builds.build(made.ports, "chat", VIBE)
        made.out(0)
        made.store_now([4])
        builds.build(made.ports, "chat", VIBE)
        made.out(3)
        yield made


def faults(opened: World) -> tuple[str, ...]:
    return tuple(fault.sentence for fault in audit.audit(opened.ports).faults)


def tamper(home: Path, statement: str) -> None:
    connection = apsw.Connection(str(home / "control.db"))
    connection.execute(statement)
    connection.close()


def test_a_sound_home_has_no_faults(opened: World) -> None:
    report = audit.audit(opened.ports)
    assert report.holds
    assert (report.files, report.rows, report.datasets) == (2, 4, 2)
    assert report.position == opened.head


def test_an_altered_file_is_named(opened: World, tmp_path: Path) -> None:
    file = opened.files()[0]
    path = tmp_path / "lake" / file.sha256[:2] / f"{file.sha256}.parquet"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)
    assert any(file.sha256 in fault for fault in faults(opened))


def test_a_missing_vector_is_named(opened: World, tmp_path: Path) -> None:
    tamper(tmp_path, "DELETE FROM vectors WHERE file = 2")
    (fault,) = faults(opened)
    assert fault.startswith("file 2 ")


def test_a_vector_that_is_not_the_full_decision_is_named(opened: World) -> None:
    more = ConsentVector(opened.head, {Reason.DELETED: BitMap([2])})
    opened.ports.files.replace({FileNo(1): more})
    (fault,) = faults(opened)
    assert fault.startswith("file 1 ") and "full decision" in fault


def test_a_manifest_that_is_not_the_one_in_its_entry_is_named(
    opened: World, tmp_path: Path
) -> None:
    tamper(
        tmp_path,
        """UPDATE datasets SET manifest = replace(manifest, '"admitted":3', '"admitted":4')""",
    )
    assert any(fault.startswith("chat@") and "manifest" in fault for fault in faults(opened))


def test_a_standing_changed_behind_the_ledger_is_named(opened: World, tmp_path: Path) -> None:
    tamper(tmp_path, "UPDATE entries SET effects = NULL WHERE position = 3")
    assert faults(opened)

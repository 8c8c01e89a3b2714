"""What every `Tags` does, the one beside the lake and the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes.tags import MemoryTags
from withhold.adapters.lake.tags import TagFiles
from withhold.adapters.store.sqlite.keys import SubjectKeys
from withhold.domain.absence import check_absent, check_present, tag_of
from withhold.domain.names import SubjectNo
from withhold.domain.prefix_tree import crown_of, sorted_tags
from withhold.errors import VerificationError
from withhold.ports import Tags

DATASET = "chat@1:" + "ab" * 32


@dataclass(frozen=True)
class Opened:
    """Tags, and what may befall them."""

    tags: Tags
    erase: Callable[[int], object]
    lose: Callable[[bytes], object]


ERASED = {
    "a row that is gone": "DELETE FROM keys WHERE subject = ?",
    "zeros in its place": "UPDATE keys SET key = zeroblob(32) WHERE subject = ?",
}


@pytest.fixture(params=[*ERASED, "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    if request.param == "memory":
        memory = MemoryTags()
        yield Opened(memory, memory.erase, memory.lose)
        return
    keys = SubjectKeys(tmp_path / "keys.db")
    for no in range(1, 5_000):
        assert keys.give(SubjectNo(no)) == no
    files = TagFiles(tmp_path / "tags", keys.many)

    def erase(subject: int) -> None:
        connection = apsw.Connection(str(tmp_path / "keys.db"))
        connection.execute(ERASED[request.param], (subject,))
        connection.close()

    yield Opened(files, erase, lambda root: files.path(root).unlink())
    keys.close()


def numbers(*accounts: int) -> NDArray[np.uint32]:
    return np.array(accounts, np.uint32)


def tag(tags: Tags, account: int, dataset: str = DATASET) -> bytes:
    secret = tags.secret(SubjectNo(account))
    assert secret is not None
    return tag_of(secret, dataset)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 300, 2_000])
def test_whoever_is_among_the_accounts_is_proven_present_and_everybody_else_absent(
    opened: Opened, count: int
) -> None:
    root = opened.tags.keep(numbers(*range(2, 2 + 2 * count, 2)), DATASET)
    for account in [*range(1, min(2 * count, 40) + 3), 2 * count, 2 * count + 1]:
        if account == 0:
            continue
        its = tag(opened.tags, account)
        is_in = account % 2 == 0 and account <= 2 * count
        (check_present if is_in else check_absent)(its, opened.tags.prove(root, its), root)


def test_the_root_is_that_of_the_tree_over_the_tags(opened: Opened) -> None:
    accounts = numbers(*range(1, 500))
    root = opened.tags.keep(accounts, DATASET)
    expected = crown_of(sorted_tags(tag(opened.tags, int(no)) for no in accounts)).root
    assert root == expected == opened.tags.keep(accounts, DATASET)
    assert opened.tags.keep(accounts, "chat@2:" + "ab" * 32) != root
    opened.tags.check(root, accounts, DATASET)


def test_an_account_too_many_or_too_few_is_found(opened: Opened) -> None:
    root = opened.tags.keep(numbers(1, 2, 3), DATASET)
    for wrong in ((1, 2), (1, 2, 3, 4), (1, 2, 4), ()):
        with pytest.raises(VerificationError):
            opened.tags.check(root, numbers(*wrong), DATASET)
    with pytest.raises(VerificationError):
        opened.tags.check(root, numbers(1, 2, 3), "other@1:" + "ab" * 32)


def test_lost_tags_prove_nothing_and_can_be_made_again(opened: Opened) -> None:
    root = opened.tags.keep(numbers(1, 2, 3), DATASET)
    opened.lose(root)
    with pytest.raises(VerificationError, match="missing"):
        opened.tags.prove(root, tag(opened.tags, 1))
    opened.tags.check(root, numbers(1, 2, 3), DATASET)
    assert opened.tags.keep(numbers(1, 2, 3), DATASET) == root
    opened.tags.prove(root, tag(opened.tags, 1))


def test_after_a_key_is_erased_the_tags_that_are_kept_still_prove_and_can_be_checked(
    opened: Opened,
) -> None:
    root = opened.tags.keep(numbers(*range(1, 400)), DATASET)
    opened.erase(7)
    assert opened.tags.secret(SubjectNo(7)) is None
    check_present(tag(opened.tags, 8), opened.tags.prove(root, tag(opened.tags, 8)), root)
    opened.tags.check(root, numbers(*range(1, 400)), DATASET)
    for wrong in (numbers(*range(1, 399)), numbers(*range(1, 401)), numbers(*range(2, 400))[6:]):
        with pytest.raises(VerificationError):
            opened.tags.check(root, wrong, DATASET)
    assert opened.tags.keep(numbers(*range(1, 400)), DATASET) != root
    opened.lose(root)
    with pytest.raises(VerificationError):
        opened.tags.check(root, numbers(*range(1, 400)), DATASET)


# --- files --------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Iterator[TagFiles]:
    keys = SubjectKeys(tmp_path / "keys.db")
    for no in range(1, 5_000):
        assert keys.give(SubjectNo(no)) == no
    yield TagFiles(tmp_path / "tags", keys.many)
    keys.close()


def test_what_does_not_fit_in_memory_is_sorted_all_the_same(
    files: TagFiles, tmp_path: Path
) -> None:
    accounts = numbers(*range(1, 4_000))
    keys = SubjectKeys(tmp_path / "keys.db")
    small = TagFiles(tmp_path / "small", keys.many, most_bytes=32 * 300)
    assert small.keep(accounts, DATASET) == files.keep(accounts, DATASET)
    keys.close()


def test_whatever_is_altered_in_a_file_no_wrong_proof_comes_of_it(files: TagFiles) -> None:
    accounts = numbers(*range(1, 300))
    root = files.keep(accounts, DATASET)
    path = files.path(root)
    data = path.read_bytes()
    inside, outside = tag(files, 5), tag(files, 301)
    refused = 0
    for place in [*range(0, len(data), 97), *range(len(data) - 30, len(data))]:
        altered = bytearray(data)
        altered[place] ^= 0x41
        path.write_bytes(altered)
        for its, check in ((inside, check_present), (outside, check_absent)):
            try:
                check(its, files.prove(root, its), root)
            except VerificationError:
                refused += 1
        with pytest.raises(VerificationError):
            files.check(root, accounts, DATASET)
    assert refused
    for end in (0, 1, 31, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(VerificationError):
            files.prove(root, inside)
    files.keep(accounts, DATASET)
    assert path.read_bytes() == data


def test_nothing_is_left_beside_the_kept_file(files: TagFiles, tmp_path: Path) -> None:
    root = files.keep(numbers(1, 2), DATASET)
    files.check(root, numbers(1, 2), DATASET)
    left = [path for path in (tmp_path / "tags").rglob("*") if path.is_file()]
    assert left == [files.path(root)]
    assert left[0].stat().st_mode & 0o077 == 0

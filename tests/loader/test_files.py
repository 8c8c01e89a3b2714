"""Files are read only as the manifest names them: by length and hash, never by listing (S31)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import withhold
from tests.loader.conftest import ROWS, Hours
from tests.simulator import Provider
from withhold.domain.datasets import DatasetRef
from withhold.errors import VerificationError
from withhold.loader.data import Data, Options
from withhold.ports import Files, LakeFile


def only_file(provider: Provider) -> Path:
    (found,) = (provider.home / "lake").glob("*/*.parquet")
    found.chmod(0o600)
    return found


def load(provider: Provider) -> list[str]:
    return provider.load("chat@1")


def test_a_truncated_file_is_refused(provider: Provider) -> None:
    path = only_file(provider)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(VerificationError, match=r"expected \d+ bytes"):
        load(provider)


def test_a_missing_file_is_refused(provider: Provider) -> None:
    only_file(provider).unlink()
    with pytest.raises(VerificationError, match="missing"):
        load(provider)


@pytest.mark.parametrize("is_read_before", [False, True])
def test_an_altered_file_of_the_same_length_and_time_is_refused(
    provider: Provider, is_read_before: bool
) -> None:
    if is_read_before:
        assert len(load(provider)) == ROWS
    path = only_file(provider)
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(VerificationError, match="hash"):
        load(provider)


def test_a_file_that_changes_while_it_is_read_yields_nothing_more(provider: Provider) -> None:
    with Data(provider.ports, DatasetRef("chat", 1), Options(("id",)), Hours()) as data:
        path = only_file(provider)
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)  # the same bytes, but nobody checked these
        with pytest.raises(VerificationError, match="changed"):
            next(data.batches())


def test_files_that_merely_lie_in_the_lake_are_not_read(provider: Provider) -> None:
    path = only_file(provider)
    shutil.copy(path, path.with_name("0" * 64 + ".parquet"))
    assert len(load(provider)) == ROWS


class OtherListing:
    """A registry that says something else about every file."""

    def __init__(self, real: Files, changed: Sequence[LakeFile]) -> None:
        self._real, self._changed = real, changed

    def files(self, product: str | None = None) -> Sequence[LakeFile]:
        return self._changed

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


@pytest.mark.parametrize("change", [{"rows": 41}, {"size_bytes": 1}, {"sha256": "0" * 64}, None])
def test_a_listing_that_differs_from_the_manifest_is_refused(
    provider: Provider, change: dict[str, int | str] | None
) -> None:
    real = provider.ports.files
    changed = [] if change is None else [replace(f, **change) for f in real.files()]  # type: ignore[arg-type]
    ports = replace(provider.ports, files=OtherListing(real, changed))  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match="not the one registered"):
        Data(ports, DatasetRef("chat", 1), Options(), Hours())


def test_a_refused_dataset_leaves_no_reader_behind(provider: Provider) -> None:
    only_file(provider).unlink()
    with pytest.raises(VerificationError):
        withhold.load("chat@1", home=provider.home)
    assert provider.ports.readers.open(0) == []

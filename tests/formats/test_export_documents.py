"""Croissant, the dataset card and OpenLineage, read by the packages of those who defined them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import attr
import mlcroissant
import pytest
import yaml
from datasets import Dataset as HubDataset
from datasets import disable_progress_bars, load_dataset
from openlineage.client import event_v2, set_producer
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    error_message_run,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.serde import Serde

from tests.services.test_exports import ROWS, twenty_rows
from tests.simulator import Provider
from withhold.adapters.exports import export_to
from withhold.domain.admission import Reason
from withhold.domain.datasets import DatasetRef
from withhold.domain.exports import ExportStatement, Shard, Terms, Timeframe
from withhold.domain.names import Position, ProductId
from withhold.domain.policy import Purpose
from withhold.errors import InputError
from withhold.formats import croissant, dataset_card, openlineage
from withhold.formats.openlineage import PRODUCER, State
from withhold.services.exports import export

LICENSED = Terms("CC-BY-4.0", "A laboratory")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what those packages use


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """Twenty rows in four lake files; Ana went out since."""
    it = twenty_rows(tmp_path / "home")
    it.opt_out("ana")
    yield it
    it.close()


def written(
    provider: Provider, target: Path, form: str = "parquet", terms: Terms = LICENSED
) -> ExportStatement:
    ref = DatasetRef("chat", 1)
    return export(provider.ports, ref, export_to(target, form), terms=terms, shard_rows=5)


def statement(**changed: Any) -> ExportStatement:
    """Return a statement of one shard, with changes."""
    said = ExportStatement(
        dataset=DatasetRef("chat", 3),
        product=ProductId("vibe"),
        purpose=Purpose.MODEL_TRAINING,
        manifest_sha256="ab" * 32,
        committed_at=Position(40),
        committed_at_ms=1_700_000_000_000,
        position=Position(42),
        exported_at_ms=1_700_000_100_000,
        entry=Position(43),
        rows=7,
        withheld={Reason.ACCOUNT: 2, Reason.DELETED: 1},
        policy_version="2026",
        policy_digest="cd" * 32,
        shards=(Shard("part-00000.parquet", 7, 900, "ef" * 32, Position(3)),),
    )
    return replace(said, **changed)


def head(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


# --- Croissant --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")
@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_mlcroissant_validates_an_export_and_reads_its_rows(
    provider: Provider, tmp_path: Path, form: str
) -> None:
    written(provider, tmp_path / "out", form)
    found = mlcroissant.Dataset(str(tmp_path / "out" / croissant.FILE))
    issues = found.metadata.ctx.issues
    assert issues.errors == set()
    assert {w.split('"')[1] for w in issues.warnings} == {"http://mlcommons.org/croissant/citeAs"}
    assert found.metadata.ctx.is_v1_1()
    read = [[turn["rows/messages/content"] for turn in r["rows/messages"]] for r in rows(found)]
    assert read == [[f"question r{n}".encode(), f"answer r{n}".encode()] for n in range(1, ROWS, 2)]


def rows(found: mlcroissant.Dataset) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = list(found.records("rows"))
    return read


def test_mlcroissant_finds_hash_and_size_of_every_shard(provider: Provider, tmp_path: Path) -> None:
    said = written(provider, tmp_path / "out")
    metadata = mlcroissant.Dataset(str(tmp_path / "out" / croissant.FILE)).metadata
    hashes = {f.name: f.sha256 for f in metadata.file_objects}
    sizes = {f.name: f.content_size for f in metadata.file_objects}
    assert hashes == {s.name: s.sha256 for s in said.shards}
    assert sizes == {s.name: f"{s.size_bytes} B" for s in said.shards}


def test_mlcroissant_refuses_a_description_with_a_field_of_no_file(tmp_path: Path) -> None:
    """The validation can fail."""
    wrong = croissant.document(statement())
    wrong["distribution"] = []
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(wrong)


def test_an_export_without_rows_is_described(tmp_path: Path) -> None:
    said = croissant.document(statement(rows=0, shards=()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert mlcroissant.Dataset(said).metadata.ctx.issues.errors == set()
    assert "configs" not in head(dataset_card.text(statement(rows=0, shards=())))


def test_croissant_says_position_policy_and_counts() -> None:
    said: Any = croissant.document(statement(checkpoint="note\n", terms=LICENSED))
    made = said["prov:wasGeneratedBy"]
    assert (made["withhold:committedAtPosition"], made["withhold:exportedAtPosition"]) == (40, 42)
    assert made["withhold:exportEntry"] == 43
    assert made["withhold:policyDigest"] == "cd" * 32
    assert made["withhold:checkpoint"] == "note\n"
    counts = {each["sc:propertyID"]: each["sc:value"] for each in made["withhold:withheld"]}
    assert counts == {"account_off": 2, "deleted": 1}
    assert (said["name"], said["version"]) == ("chat", "3.0.0+42")
    assert said["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert said["creator"]["name"] == "A laboratory"
    assert said["usageInfo"]["text"].startswith("For training models. ")


def test_what_was_not_said_and_cannot_be_known_is_left_out() -> None:
    said = croissant.document(statement(purpose=None))
    assert said.keys().isdisjoint({"license", "creator", "rai:dataCollectionTimeframe"})
    card = dataset_card.text(statement(purpose=None))
    assert head(card).keys().isdisjoint({"license", "language"})
    assert "checkpoint" not in card + json.dumps(said)
    assert "accepted |" not in card


def test_the_time_of_collection_is_that_of_the_rows_entries(
    provider: Provider, tmp_path: Path
) -> None:
    said = written(provider, tmp_path / "out")
    oldest = min(s.oldest for s in said.shards)
    entry = provider.ports.ledger.record(oldest)
    version = provider.ports.datasets.get(DatasetRef("chat", 1))
    assert oldest == 3, "rows are stamped with the entry that opened bob's account"
    assert entry is not None
    assert version is not None
    start = json.loads(entry.event)["recorded_at"]
    assert said.collected == Timeframe(start, version.committed_at)
    document = json.loads((tmp_path / "out" / croissant.FILE).read_text(encoding="utf-8"))
    assert len(document["rai:dataCollectionTimeframe"]) == 2


def test_history_has_no_time_of_collection(provider: Provider, tmp_path: Path) -> None:
    from tests.simulator import interaction  # noqa: PLC0415 (only this test imports history)
    from withhold.services.capture import capture  # noqa: PLC0415

    capture(provider.ports, [interaction("bob", "old")], history=True)
    provider.build("chat")
    said = export(provider.ports, DatasetRef("chat", 2), export_to(tmp_path / "out", "parquet"))
    assert said.rows == 11
    assert said.collected is None


def test_an_entry_that_cannot_be_opened_any_more_tells_no_time(
    provider: Provider, tmp_path: Path
) -> None:
    with apsw.Connection(str(provider.home / "keys.db")) as keys:
        keys.execute("DELETE FROM keys")
    provider.crash()
    said = written(provider, tmp_path / "out")
    assert said.rows == ROWS // 2
    assert said.collected is None


# --- the dataset card -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_load_dataset_finds_everything_in_the_folder(
    provider: Provider, tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    written(provider, tmp_path / "out", form)
    disable_progress_bars()
    with caplog.at_level(logging.WARNING):
        found = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert [r.message for r in caplog.records if r.name.startswith("datasets")] == []
    assert set(found) == {"train"}
    assert found["train"].column_names == ["messages"]
    read = [row["messages"][0]["content"] for row in found["train"]]
    assert read == [f"question r{n}" for n in range(1, ROWS, 2)]


def test_the_features_of_the_card_are_those_of_its_rows() -> None:
    turn = {"role": "user", "content": "hello"}
    features = HubDataset.from_list([{"messages": [turn]}]).features
    assert head(dataset_card.text(statement()))["dataset_info"]["features"] == (
        features._to_yaml_list()
    )


def test_the_card_says_positions_policy_counts_and_checkpoint() -> None:
    card = dataset_card.text(statement(checkpoint="origin\n42\n\nsigned\n", terms=LICENSED))
    found = head(card)
    assert (found["license"], found["size_categories"]) == ("cc-by-4.0", ["n<1K"])
    assert found["withhold"] == {
        "dataset": "chat@3",
        "product": "vibe",
        "committed_at_position": 40,
        "position": 42,
        "entry": 43,
        "rows": 7,
        "manifest_sha256": "ab" * 32,
        "policy_version": "2026",
        "policy_digest": "cd" * 32,
        "withheld": {"account_off": 2, "deleted": 1},
        "checkpoint": "origin\n42\n\nsigned\n",
    }
    assert "| withheld: account off | 2 |" in card
    assert "```\norigin\n42\n\nsigned\n```" in card


def test_an_address_is_a_license_of_its_own() -> None:
    terms = Terms("https://example.org/our-license")
    found = head(dataset_card.text(statement(terms=terms)))
    assert (found["license"], found["license_link"]) == ("other", "https://example.org/our-license")
    assert (
        croissant.document(statement(terms=terms))["license"] == "https://example.org/our-license"
    )


@pytest.mark.parametrize(
    "wrong", ["", "two words", "ftp://x", "javascript:x", "a\n---\nb", "x" * 65]
)
def test_a_license_is_an_identifier_or_an_address(wrong: str) -> None:
    with pytest.raises(InputError, match="SPDX"):
        Terms(wrong)


@pytest.mark.parametrize("wrong", ["", " ", "a\nb", "x" * 201])
def test_a_creator_is_one_line(wrong: str) -> None:
    with pytest.raises(InputError, match="creator"):
        Terms(creator=wrong)


@pytest.mark.parametrize(
    ("count", "size"), [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (10**12, "n>1T")]
)
def test_the_size_is_the_hubs_category(count: int, size: str) -> None:
    assert dataset_card.metadata(statement(rows=count))["size_categories"] == [size]


def test_no_id_and_no_name_of_anybody_is_in_any_document(
    provider: Provider, tmp_path: Path
) -> None:
    written(provider, tmp_path / "out")
    for name in ("manifest.json", croissant.FILE, dataset_card.FILE):
        content = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert not {"ana", "bob"} & set(content.replace('"', " ").split())
        assert "r1 " not in content


# --- OpenLineage ------------------------------------------------------------------------------------


def fields(*described: tuple[str, str]) -> list[schema_dataset.SchemaDatasetFacetFields]:
    parts = [schema_dataset.SchemaDatasetFacetFields(name=n, type=t) for n, t in described]
    turns = [
        schema_dataset.SchemaDatasetFacetFields(name=n, type="string") for n in ("role", "content")
    ]
    messages = schema_dataset.SchemaDatasetFacetFields(name="messages", type="array", fields=turns)
    return [*parts, messages]


def lean(value: Any) -> Any:
    """Return what a client would send, without the empty lists and mappings it adds."""
    if isinstance(value, dict):
        leaned = {k: lean(v) for k, v in value.items()}
        return {k: v for k, v in leaned.items() if v not in ([], {}, None)}
    return [lean(v) for v in value] if isinstance(value, list) else value


def test_events_are_those_that_the_client_of_openlineage_makes() -> None:
    set_producer(PRODUCER)
    run = openlineage.export_run(DatasetRef("chat", 3), 1_700_000_000_000, 99)
    ours = openlineage.event(
        run, State.COMPLETE, 1_700_000_100_000, [openlineage.exported(statement(), "/data/out")]
    )
    decision = ours["outputs"][0]["facets"].pop("withhold_decision")  # type: ignore[index, call-overload, union-attr]
    version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion="3")
    theirs = event_v2.RunEvent(
        eventType=event_v2.RunState.COMPLETE,
        eventTime="2023-11-14T22:15:00.000Z",
        run=event_v2.Run(runId=run.id),
        job=event_v2.Job(namespace="withhold", name="export.chat"),
        inputs=[
            event_v2.InputDataset(
                namespace="withhold",
                name="chat",
                facets={
                    "schema": schema_dataset.SchemaDatasetFacet(fields=fields(("id", "string"))),
                    "version": version,
                },
            )
        ],
        outputs=[
            event_v2.OutputDataset(
                namespace="file",
                name="/data/out",
                facets={
                    "schema": schema_dataset.SchemaDatasetFacet(fields=fields()),
                    "version": version,
                },
                outputFacets={
                    "outputStatistics": (
                        output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                            rowCount=7, size=900, fileCount=1
                        )
                    )
                },
            )
        ],
        producer=PRODUCER,
    )
    assert ours == lean(Serde.to_dict(theirs))
    assert decision == {
        "_producer": PRODUCER,
        "_schemaURL": "urn:withhold:schema:WithholdDecisionDatasetFacet:1",
        "committedAtPosition": 40,
        "position": 42,
        "manifestSha256": "ab" * 32,
        "policyVersion": "2026",
        "policyDigest": "cd" * 32,
        "withheld": {"account_off": 2, "deleted": 1},
    }


def test_a_failed_run_says_why_as_the_client_does() -> None:
    set_producer(PRODUCER)
    run = openlineage.build_run("chat", ProductId("vibe"), 1_700_000_000_000, 99)
    ours = openlineage.event(run, State.FAIL, 1_700_000_000_000, error="the disk is full")
    facet = error_message_run.ErrorMessageRunFacet(
        message="the disk is full", programmingLanguage="Python"
    )
    theirs = event_v2.Run(runId=run.id, facets={"errorMessage": facet})
    assert ours["run"] == lean(Serde.to_dict(theirs))
    base = attr.fields_dict(event_v2.RunEvent)
    assert set(ours) <= set(base)


def test_runs_are_told_apart_by_time_and_process() -> None:
    ids = {
        openlineage.build_run("chat", ProductId("vibe"), time, process).id
        for time in (1, 2)
        for process in (3, 4)
    }
    assert len(ids) == 4
    assert {i[14] for i in ids} == {"7"}
    assert {i[19] for i in ids} <= set("89ab")

"""OpenLineage events of builds and exports: START, then COMPLETE, FAIL or ABORT, one run each.

    build    reads the product's lake, writes a version of a dataset
    export   reads a version, writes a folder

An event is a RunEvent of the specification, version 2-0-2, with its facets ``schema``, ``version``,
``outputStatistics`` and ``errorMessage``. What they have no place for is in a facet of our own,
``withhold_decision``: positions, policy and counts. The producer is a URN with the package's name and
version; OpenLineage asks for a URI, not for a page. No id of anybody is in an event.

Not here: writing events (`adapters.events`), sending them anywhere.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from withhold import __version__
from withhold.domain.admission import Reason
from withhold.domain.canonical_json import Json
from withhold.domain.datasets import Dataset, DatasetRef
from withhold.domain.exports import ExportStatement
from withhold.domain.names import ProductId
from withhold.domain.times import utc

PRODUCER = f"urn:withhold:package:{__version__}"
NAMESPACE = "withhold"
DECISION = "urn:withhold:schema:WithholdDecisionDatasetFacet:1"
_SPEC = "https://openlineage.io/spec"
_RUN_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "schema": ("1-2-0", "SchemaDatasetFacet"),
    "version": ("1-0-1", "DatasetVersionDatasetFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet"),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet"),
}
_MESSAGES: Json = {
    "name": "messages",
    "type": "array",
    "fields": [{"name": "role", "type": "string"}, {"name": "content", "type": "string"}],
}
_ROW: list[Json] = [{"name": "id", "type": "string"}, _MESSAGES]


class State(Enum):
    """How a run is."""

    START = "START"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"  # it raised an error
    ABORT = "ABORT"  # a person or the system ended it


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one job.

    Attributes:
        job: ``build.chat`` or ``export.chat``.
        id: a UUID of version 7 (RFC 9562): its time, and a digest of what tells the run from others.
        inputs: what it reads.
    """

    job: str
    id: str
    inputs: tuple[Mapping[str, Json], ...]


def build_run(name: str, product: ProductId, started_ms: int, process: int) -> Run:
    """Return the run that builds the next version of a dataset.

    Args:
        name: the dataset's.
        product: whose lake is read.
        started_ms: UTC milliseconds since 1970.
        process: the number of the process, to tell runs of one moment apart.
    """
    lake: dict[str, Json] = {
        "namespace": NAMESPACE,
        "name": f"lake.{product}",
        "facets": _schema(_ROW),
    }
    job = f"build.{name}"
    return Run(job, _run_id(job, started_ms, process), (lake,))


def export_run(dataset: DatasetRef, started_ms: int, process: int) -> Run:
    """Return the run that exports a version of a dataset; see `build_run`."""
    job = f"export.{dataset.name}"
    return Run(job, _run_id(job, started_ms, process), (_named(dataset, _ROW),))


def event(
    run: Run, state: State, at_ms: int, outputs: Sequence[Mapping[str, Json]] = (), error: str = ""
) -> dict[str, Json]:
    """Return an event of a run.

    Args:
        at_ms: when it happened, UTC milliseconds since 1970.
        outputs: what was written, at its end.
        error: why it failed, one sentence without content.
    """
    said: dict[str, Json] = {"runId": run.id}
    if error:
        said["facets"] = _facet("errorMessage", message=error, programmingLanguage="Python")
    return {
        "eventType": state.value,
        "eventTime": utc(at_ms),
        "run": said,
        "job": {"namespace": NAMESPACE, "name": run.job},
        "inputs": [dict(each) for each in run.inputs],
        "outputs": [dict(each) for each in outputs],
        "producer": PRODUCER,
        "schemaURL": _RUN_EVENT,
    }


def built(dataset: Dataset) -> dict[str, Json]:
    """Return a committed version as the output of its build."""
    manifest = dataset.manifest
    found = _named(dataset.ref, _ROW)
    found["facets"] = {
        **_schema(_ROW),
        **_version(dataset.ref),
        "withhold_decision": _decision(
            manifest.withheld,
            committedAtPosition=dataset.position,
            position=manifest.cutoff,
            manifestSha256=manifest.sha256(),
            policyVersion=manifest.policy_version,
            policyDigest=manifest.policy_digest,
        ),
    }
    found["outputFacets"] = _facet("outputStatistics", rowCount=manifest.admitted)
    return found


def exported(said: ExportStatement, folder: str) -> dict[str, Json]:
    """Return an export as the output of its run.

    Args:
        folder: the absolute path of the folder, the name of a local dataset in OpenLineage.
    """
    values: dict[str, Json] = {
        "committedAtPosition": said.committed_at,
        "position": said.position,
        "manifestSha256": said.manifest_sha256,
        "policyVersion": said.policy_version,
        "policyDigest": said.policy_digest,
    }
    if said.checkpoint is not None:
        values["checkpoint"] = said.checkpoint
    return {
        "namespace": "file",
        "name": folder,
        "facets": {
            **_schema([_MESSAGES]),
            **_version(said.dataset),
            "withhold_decision": _decision(said.withheld, **values),
        },
        "outputFacets": _facet(
            "outputStatistics",
            rowCount=said.rows,
            size=said.size_bytes,
            fileCount=len(said.shards),
        ),
    }


def _run_id(job: str, started_ms: int, process: int) -> str:
    digest = hashlib.sha256(f"{job}\0{started_ms}\0{process}".encode()).digest()
    bits = int.from_bytes(digest, "big")
    number = (started_ms & (1 << 48) - 1) << 80 | bits & (1 << 80) - 1
    number = number & ~(0xF << 76) | 7 << 76  # the version
    number = number & ~(0b11 << 62) | 0b10 << 62  # the variant
    return str(uuid.UUID(int=number))


def _named(dataset: DatasetRef, fields: list[Json]) -> dict[str, Json]:
    return {
        "namespace": NAMESPACE,
        "name": dataset.name,
        "facets": {**_schema(fields), **_version(dataset)},
    }


def _schema(fields: list[Json]) -> dict[str, Json]:
    return _facet("schema", fields=fields)


def _version(dataset: DatasetRef) -> dict[str, Json]:
    return _facet("version", datasetVersion=str(dataset).partition("@")[2])


def _decision(withheld: Mapping[Reason, int], **values: Json) -> dict[str, Json]:
    counts: dict[str, Json] = {reason.value: rows for reason, rows in withheld.items()}
    return {"_producer": PRODUCER, "_schemaURL": DECISION, **values, "withheld": counts}


def _facet(key: str, **values: Json) -> dict[str, Json]:
    version, name = _FACETS[key]
    schema = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {key: {"_producer": PRODUCER, "_schemaURL": schema, **values}}

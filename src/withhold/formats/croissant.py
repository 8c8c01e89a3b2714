"""Croissant 1.1 metadata of an export: what the files are, and where the copy comes from.

Croissant has no term for consent. What the ledger says goes into PROV-O's ``prov:wasGeneratedBy``, which
the specification recommends for provenance, with terms of our own under ``urn:withhold:terms:`` for
positions, policy and counts; what a recipient may do goes into ``usageInfo``. No id of anybody is in it.

The context is that of the specification (MLCommons, Croissant 1.1, Appendix 1) with the schema.org
namespace that its reference implementation reads (``https``).

Not here: writing the file (`adapters.exports`), the fields of lake files.
"""

from __future__ import annotations

from pathlib import PurePath

from withhold import __version__
from withhold.domain.canonical_json import Json
from withhold.domain.exports import ExportStatement, Shard
from withhold.domain.policy import Purpose
from withhold.domain.times import utc
from withhold.formats.quantity import quantity

FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
TERMS = "urn:withhold:terms:"
MEDIA_TYPES = {".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}
USES = {
    Purpose.MODEL_TRAINING: "training models",
    Purpose.SERVICE_IMPROVEMENT: "improving services",
}
"""What data of each purpose may be used for, in words."""

_SHARDS, _ROWS = "shards", "rows"
_CROISSANT_TERMS = (
    *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty"),
    *(
        "excludes",
        "extract",
        "field",
        "fileObject",
        "fileProperty",
        "fileSet",
        "format",
        "includes",
    ),
    *("isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "readLines"),
    *("recordSet", "references", "regex", "repeated", "replace", "samplingRate", "sdVersion"),
    *("separator", "source", "subField", "transform", "unArchive", "value"),
)


def document(said: ExportStatement) -> dict[str, Json]:
    """Return the Croissant description of an export, as JSON-LD."""
    found: dict[str, Json] = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": said.dataset.name,
        "description": described(said),
        # a later copy of the same version holds fewer rows: the position tells them apart
        "version": f"{said.dataset.version}.0.0+{said.position}",
        "url": f"urn:withhold:dataset:{said.dataset}",
        "dateCreated": utc(said.committed_at_ms),
        "datePublished": utc(said.exported_at_ms),
        "prov:wasGeneratedBy": _activity(said),
        "usageInfo": {"@type": "CreativeWork", "name": "Use of this copy", "text": usage(said)},
        "distribution": _distribution(said.shards),
        "recordSet": _record_sets(said.shards),
    }
    if said.terms.license_address is not None:
        found["license"] = said.terms.license_address
    if said.terms.creator is not None:
        found["creator"] = {"@type": "Organization", "name": said.terms.creator}
    if said.collected is not None:
        found["rai:dataCollectionTimeframe"] = [
            utc(said.collected.start_ms),
            utc(said.collected.end_ms),
        ]
    return found


def described(said: ExportStatement) -> str:
    """Return the sentence that says what an export is."""
    return (
        f"{quantity(said.rows, 'row')} of {said.dataset} (product {said.product}), as of position "
        f"{said.position} of the provider's ledger of training opt-outs."
    )


def usage(said: ExportStatement) -> str:
    """Return what a recipient may do with a copy, and what the copy cannot know."""
    allowed = "" if said.purpose is None else f"For {USES[said.purpose]}. "
    return (
        f"{allowed}It holds only rows that everybody in them let be used as of position {said.position} of "
        "the provider's ledger. Opt-outs after that position do not reach a copy: before using it again, "
        "ask the provider for a newer one."
    )


def _context() -> dict[str, Json]:
    context: dict[str, Json] = {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "dct": "http://purl.org/dc/terms/",
        "prov": "http://www.w3.org/ns/prov#",
        "withhold": TERMS,
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "description": {"@container": "@language"},
        "name": {"@container": "@language"},
    }
    return context | {term: f"cr:{term}" for term in _CROISSANT_TERMS}


def _activity(said: ExportStatement) -> dict[str, Json]:
    found: dict[str, Json] = {
        "@type": "prov:Activity",
        "prov:label": f"Export of {said.dataset}",
        "prov:endedAtTime": utc(said.exported_at_ms),
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "prov:label": f"withhold {__version__}",
        },
        "withhold:product": said.product,
        "withhold:committedAtPosition": said.committed_at,
        "withhold:exportedAtPosition": said.position,
        "withhold:exportEntry": said.entry,
        "withhold:manifestSha256": said.manifest_sha256,
        "withhold:policyVersion": said.policy_version,
        "withhold:policyDigest": said.policy_digest,
        "withhold:rows": said.rows,
        "withhold:withheld": [
            {"@type": "sc:PropertyValue", "sc:propertyID": reason.value, "sc:value": rows}
            for reason, rows in said.withheld.items()
        ],
    }
    if said.checkpoint is not None:
        found["withhold:checkpoint"] = said.checkpoint
    return found


def _distribution(shards: tuple[Shard, ...]) -> list[Json]:
    files: list[Json] = [
        {
            "@type": "cr:FileObject",
            "@id": shard.name,
            "name": shard.name,
            "contentUrl": shard.name,
            "contentSize": f"{shard.size_bytes} B",
            "encodingFormat": _media_type(shard),
            "sha256": shard.sha256,
        }
        for shard in shards
    ]
    if shards:
        files.append(
            {
                "@type": "cr:FileSet",
                "@id": _SHARDS,
                "name": _SHARDS,
                "encodingFormat": _media_type(shards[0]),
                "includes": f"part-*{PurePath(shards[0].name).suffix}",
            }
        )
    return files


def _media_type(shard: Shard) -> str:
    return MEDIA_TYPES[PurePath(shard.name).suffix]


def _record_sets(shards: tuple[Shard, ...]) -> list[Json]:
    """Return the one set of records: every row is its turns and nothing else."""
    if not shards:
        return []
    turns: dict[str, Json] = {
        "@type": "cr:Field",
        "@id": f"{_ROWS}/messages",
        "name": "messages",
        "description": "The turns of a conversation, in order.",
        "isArray": True,
        "arrayShape": "-1",
        "source": _source(),
        "subField": [
            _part("role", "Who speaks, for example user or assistant."),
            _part("content", "What is said."),
        ],
    }
    return [{"@type": "cr:RecordSet", "@id": _ROWS, "name": _ROWS, "field": [turns]}]


def _part(name: str, description: str) -> dict[str, Json]:
    return {
        "@type": "cr:Field",
        "@id": f"{_ROWS}/messages/{name}",
        "name": name,
        "description": description,
        "dataType": "sc:Text",
        "source": {**_source(), "transform": {"jsonPath": name}},
    }


def _source() -> dict[str, Json]:
    return {"fileSet": {"@id": _SHARDS}, "extract": {"column": "messages"}}

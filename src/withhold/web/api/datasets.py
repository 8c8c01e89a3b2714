"""Datasets: which versions there are, what they yield now, and building the next one."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from withhold.domain.datasets import Dataset, DatasetRef, parse_ref
from withhold.domain.names import AccountId, ProductId
from withhold.errors import InputError, UnknownDataset
from withhold.ports import Ports
from withhold.services import absence, builds, lookups
from withhold.web import answers, bodies
from withhold.web.auth import Scope, ports_of
from withhold.web.routes import Route, answer, lanes_of, off_loop


class BuildBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to build from; a dry run only counts."""

    product: str
    dry_run: bool = False


class Datasets(msgspec.Struct, frozen=True):
    """Every version, in order of commit."""

    datasets: list[answers.Built]


_build = bodies.Decoder(BuildBody)
_READ = frozenset({Scope.BUILD, Scope.AUDIT})


@get("/datasets", **Route("All dataset versions", _READ, Datasets).stated())
async def get_datasets(request: Request[Any, Any, Any]) -> Response[bytes]:
    """List every version as it was committed."""
    found = await off_loop(ports_of(request).datasets.all)
    return answer(Datasets([answers.built(dataset) for dataset in found]))


@get(
    "/datasets/{reference:str}",
    **Route(
        "A dataset version and what it yields now", _READ, answers.Version, errors=(404,)
    ).stated(),
)
async def get_dataset(request: Request[Any, Any, Any], reference: FromPath[str]) -> Response[bytes]:
    """Give a version, ``name@3`` or ``name@latest``, and what it yields now."""
    view = await off_loop(
        lookups.show, ports_of(request), _reference(reference), lane=lanes_of(request).build
    )
    return answer(answers.version(view))


@post(
    "/datasets/{name:str}/versions",
    **Route(
        "Build the next version of a dataset",
        frozenset({Scope.BUILD}),
        answers.Built,
        BuildBody,
        errors=(400, 409, 413, 415, 422),
        names_in_body=True,
    ).stated(),
)
async def post_version(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    """Build the next version; the answer comes once it is committed."""
    body = await _build.one(request)
    made = await off_loop(build, ports_of(request), name, body, lane=lanes_of(request).build)
    request.app.state.upkeep.wake()  # its tags are made there
    return answer(made)


@get(
    "/datasets/{reference:str}/proofs/{account:str}",
    **Route(
        "The proof that a dataset version has rows of an account, or has none",
        frozenset({Scope.PREFERENCES, Scope.AUDIT}),
        errors=(404, 409),
    ).stated(),
)
async def get_proof(
    request: Request[Any, Any, Any], reference: FromPath[str], account: FromPath[str]
) -> Response[bytes]:
    """Give the document, which `withhold verify` checks anywhere."""
    return answer(
        await off_loop(
            absence.prove,
            ports_of(request),
            AccountId(account),
            _reference(reference),
            lane=lanes_of(request).build,
        )
    )


def build(ports: Ports, name: str, body: BuildBody) -> object:
    """Build, or count, and return the answer."""
    made = builds.build(ports, name, ProductId(body.product), dry_run=body.dry_run)
    return answers.built(made) if isinstance(made, Dataset) else answers.counted(made)


def _reference(text: str) -> DatasetRef:
    """Return what a path names; what no dataset can be called is simply not there."""
    try:
        return parse_ref(text)
    except InputError as error:
        raise UnknownDataset(str(error)) from None

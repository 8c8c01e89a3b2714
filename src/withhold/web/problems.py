"""Problem documents (RFC 9457): the one table from errors to HTTP.

An error that is not in the table, and every foreign one, is a 500 without details. Messages of listed
errors are ours and carry no content and no credentials (`withhold.errors`); where even such a message
would tell more than the caller may know, ``expose_detail`` is false and only the title goes out.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from withhold import errors
from withhold.errors import WithholdError
from withhold.web.log import told
from withhold.web.paths import sent_path

CONTENT_TYPE = "application/problem+json"
TYPE = "urn:withhold:problem:"

_log = structlog.get_logger("withhold.web")


@dataclass(frozen=True, slots=True)
class Problem:
    """How one kind of error is told.

    Attributes:
        slug: the end of the problem's type, stable for programs.
        expose_detail: whether the error's own sentence goes out.
    """

    status: int
    slug: str
    title: str
    expose_detail: bool = True


PROBLEMS: dict[type[WithholdError], Problem] = {
    errors.WithholdError: Problem(500, "internal", "Something went wrong", expose_detail=False),
    errors.InputError: Problem(400, "bad-request", "The request is not of the documented form"),
    errors.UnknownAccount: Problem(404, "unknown-account", "There is no such account", False),
    errors.UnknownOrganization: Problem(
        404, "unknown-organization", "There is no such organization", False
    ),
    errors.UnknownProduct: Problem(404, "unknown-product", "The policy has no such product"),
    errors.UnknownPlan: Problem(404, "unknown-plan", "The policy has no such plan"),
    errors.UnknownDataset: Problem(404, "unknown-dataset", "There is no such dataset", False),
    errors.UnknownRow: Problem(404, "unknown-row", "There is no such interaction", False),
    errors.UnknownReceipt: Problem(404, "unknown-receipt", "There is no such receipt", False),
    errors.EntryErased: Problem(404, "unknown-receipt", "There is no such receipt", False),
    errors.TokenRefused: Problem(400, "token-refused", "The capture token is not valid"),
    errors.TooLarge: Problem(413, "too-large", "The request is larger than allowed"),
    errors.PolicyFileError: Problem(422, "policy-file", "The policy file is not valid"),
    errors.NotAuthorized: Problem(401, "not-authorized", "A valid bearer token is needed"),
    errors.ScopeMissing: Problem(403, "scope-missing", "The token does not reach this"),
    errors.PolicyError: Problem(403, "refused-by-policy", "The policy says no"),
    errors.LockedByPlan: Problem(403, "locked-by-plan", "The plan is locked"),
    errors.NotAnAdmin: Problem(403, "not-an-admin", "Only an admin may change this"),
    errors.ConflictError: Problem(409, "conflict", "Something changed meanwhile"),
    errors.LedgerMoved: Problem(409, "ledger-moved", "Something newer stands in the ledger"),
    errors.PreconditionFailed: Problem(412, "precondition-failed", "If-Match names an older entry"),
    errors.KeyReused: Problem(422, "key-reused", "The idempotency key came with another request"),
    errors.NameTaken: Problem(409, "name-taken", "Another builder committed first"),
    errors.NotTagged: Problem(409, "not-tagged", "The version's tags are not made yet"),
    errors.FenceClosed: Problem(409, "fence-closed", "Something was withdrawn meanwhile"),
    errors.LeaseExpired: Problem(409, "lease-expired", "The lease ended"),
    errors.StateUnknown: Problem(
        500,
        "state-unknown",
        "Whether it was recorded is not known: read it before trying again",
        False,
    ),
    errors.VerificationError: Problem(500, "verification", "Stored bytes do not verify", False),
    errors.LedgerBehind: Problem(503, "read-only", "The ledger is read-only; nothing was recorded"),
    errors.WitnessSilent: Problem(503, "witness-silent", "A witness did not answer", False),
    errors.StorageError: Problem(503, "storage", "The disk refused; nothing was recorded", False),
}


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    instance: str
    detail: str = ""


def on_withhold_error(request: Request[Any, Any, Any], error: WithholdError) -> Response[bytes]:
    """Tell one of our errors."""
    problem = PROBLEMS.get(type(error), PROBLEMS[WithholdError])
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error(
            "request failed", problem=problem.slug, path=sent_path(request), error=told(error)
        )
    status = problem.status
    if status == HTTPStatus.NOT_FOUND and _names_in_body(request):
        status = HTTPStatus.UNPROCESSABLE_ENTITY  # the body names it, the address does exist
    detail = error.diagnostics() if problem.expose_detail else ""
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return document(request, Problem(status, problem.slug, problem.title), detail, headers)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Tell what the framework refused: no such address, no such method."""
    title = HTTPStatus(error.status_code).phrase
    slug = title.lower().replace(" ", "-")
    return document(request, Problem(error.status_code, slug, title), "", dict(error.headers or {}))


def on_any_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Tell nothing of an error that is not ours; it is in the log."""
    _log.error("request failed", path=sent_path(request), error=told(error))
    return document(request, PROBLEMS[WithholdError], "", {})


def document(
    request: Request[Any, Any, Any], problem: Problem, detail: str, headers: dict[str, str]
) -> Response[bytes]:
    """Return the problem document as a response."""
    body = ProblemDocument(
        TYPE + problem.slug, problem.title, problem.status, sent_path(request), detail
    )
    return Response(
        msgspec.json.encode(body),
        status_code=problem.status,
        media_type=CONTENT_TYPE,
        headers={**headers, "Cache-Control": "no-store"},
    )


def _names_in_body(request: Request[Any, Any, Any]) -> bool:
    handler = request.scope.get("route_handler")
    return handler is not None and bool(handler.opt.get("names_in_body"))

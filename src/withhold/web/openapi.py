"""The API document (OpenAPI 3.1), made from what each route states about itself.

Schemas come from the very types that decode bodies and encode answers, so the document cannot drift from
the code. Bodies that take many are given as JSON array and as JSON lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from withhold.web.bodies import JSON, LINES
from withhold.web.problems import CONTENT_TYPE, ProblemDocument
from withhold.web.routes import ERRORS_OF_EVERY_ROUTE, Route

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{([a-z_]+):str\}")
_QUERY = {
    "/interactions/{row_id}": ("product",),
    "/conversations/{name}": ("product",),
    "/receipts/{receipt_id}": ("form",),
}
_HEADERS = {
    "If-Match": "The ETag of an earlier answer; turning on is refused when something newer stands",
    "Idempotency-Key": "Names this request, so that it counts once however often it is sent",
}


def document(handlers: Iterable[HTTPRouteHandler], version: str) -> bytes:
    """Return the API document of these handlers, as JSON."""
    stated = [(handler, handler.opt["route"]) for handler in handlers]
    schemas, components = _schemas(route for _, route in stated)
    paths: dict[str, Schema] = {}
    for handler, route in stated:
        path = _PARAMETER.sub(r"{\1}", next(iter(handler.paths)))
        for method in handler.http_methods:
            if method in {"HEAD", "OPTIONS"}:
                continue
            operation = _operation(handler, route, path, schemas)
            paths.setdefault(f"/v1{path}", {})[method.lower()] = operation
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Withhold",
                "version": version,
                "description": "Training opt-outs that hold. Errors are RFC 9457 problem documents.",
            },
            "paths": dict(sorted(paths.items())),
            "components": {
                "schemas": components,
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
            "security": [{"bearer": []}],
        }
    )


def _schemas(routes: Iterable[Route]) -> tuple[Mapping[Any, Schema], Schema]:
    types: list[Any] = [ProblemDocument]
    for route in routes:
        types += [t for t in (route.answer, route.body) if t is not None and t not in types]
    found, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    return {str(t): schema for t, schema in zip(types, found, strict=True)}, components


def _operation(
    handler: HTTPRouteHandler, route: Route, path: str, schemas: Mapping[Any, Schema]
) -> Schema:
    operation: Schema = {
        "operationId": handler.handler_name,
        "summary": route.summary,
        "description": f"Scope: {' or '.join(sorted(route.scopes))}.",
        "parameters": _parameters(route, path),
        "responses": _responses(route, schemas),
    }
    if route.body is not None:
        operation["requestBody"] = _body(route, schemas)
    return operation


def _parameters(route: Route, path: str) -> list[Schema]:
    text: Schema = {"type": "string"}
    found = [
        {"name": name, "in": "path", "required": True, "schema": text}
        for name in re.findall(r"\{([a-z_]+)\}", path)
    ]
    found += [
        {"name": name, "in": "query", "required": False, "schema": text}
        for name in _QUERY.get(path, ())
    ]
    found += [
        {
            "name": name,
            "in": "header",
            "required": False,
            "schema": text,
            "description": _HEADERS[name],
        }
        for name in route.headers
    ]
    return found


def _responses(route: Route, schemas: Mapping[Any, Schema]) -> Schema:
    answer = schemas[str(route.answer)] if route.answer is not None else {"type": "object"}
    ok: Schema = {"description": "Done", "content": {JSON: {"schema": answer}}}
    if route.headers:
        ok["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "The position"}}
    problem = {CONTENT_TYPE: {"schema": schemas[str(ProblemDocument)]}}
    refused = {
        str(status): {"description": HTTPStatus(status).phrase, "content": problem}
        for status in sorted({*route.errors, *ERRORS_OF_EVERY_ROUTE})
    }
    return {"200": ok, **refused}


def _body(route: Route, schemas: Mapping[Any, Schema]) -> Schema:
    one = schemas[str(route.body)]
    if not route.many:
        return {"required": True, "content": {JSON: {"schema": one}}}
    content = {JSON: {"schema": {"type": "array", "items": one}}, LINES: {"schema": one}}
    return {"required": True, "content": content}

"""The log for anyone to follow, by the paths of C2SP tlog-tiles below ``/log``.

    /log/checkpoint            the head, signed; never cached
    /log/checkpoint/kept       the newest one that is signed with ML-DSA-44 as well
    /log/checkpoint/witnessed  the newest one that a witness cosigned
    /log/tile/…                tiles and bundles of entries; a full one never changes
    /log/consistency/OLD/NEW   that the tree of one size begins with that of another
    /log/keys                  verifier keys, with the sizes they may sign
    /log/keys/N                what leads from the keys before the entry at N to those after it

No token opens them and none is needed: entries are commitments and tell nothing of anybody.

Source: C2SP tlog-tiles. Not here: what an entry says (receipts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from withhold.domain.checkpoints import LogKey
from withhold.domain.names import Position
from withhold.domain.tiles import WIDTH, parse_path
from withhold.errors import InputError
from withhold.ports import Log, Ports
from withhold.services import log as logs
from withhold.web.auth import ports_of
from withhold.web.routes import off_loop

_SIZE = re.compile(r"[1-9][0-9]{0,15}")

TEXT, BYTES = "text/plain", "application/octet-stream"
NEVER = "no-store"
FOR_EVER = "public, max-age=31536000, immutable"
SOON_OVER = "public, max-age=3600"  # a partial tile holds as well, but nobody needs it for long

_PLAIN: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class Key(msgspec.Struct, frozen=True):
    """A verifier key, and the sizes of the trees it may sign; ``last`` is null while it is in use."""

    key: str
    first: int
    last: int | None


class Keys(msgspec.Struct, frozen=True):
    """The log's name and its keys: Ed25519 signs every checkpoint, ML-DSA-44 those that are kept."""

    origin: str
    ed25519: list[Key]
    ml_dsa_44: list[Key]


class Replacement(msgspec.Struct, frozen=True):
    """That the entry at a position replaced the keys; the members are those of a receipt."""

    position: int
    event: str
    proof: str


def keys_of(log: Log) -> Keys:
    """Return the keys of a log in the form in which they are handed out."""
    return Keys(log.origin, _listed(log.keys()), _listed(log.second_keys()))


def _listed(keys: tuple[LogKey, ...]) -> list[Key]:
    return [Key(str(each.key), each.first, each.last) for each in keys]


class Consistency(msgspec.Struct, frozen=True):
    """A consistency proof of RFC 9162: hashes of 32 bytes, hexadecimal, in its order."""

    old: int
    new: int
    hashes: list[str]


@get("/checkpoint")
async def get_checkpoint(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the newest checkpoint."""
    return _given(await off_loop(logs.newest, ports_of(request).log), TEXT, NEVER)


@get("/checkpoint/kept")
async def get_kept(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the newest checkpoint that is signed with both kinds of keys."""
    return _given(await off_loop(ports_of(request).log.kept), TEXT, NEVER)


@get("/checkpoint/witnessed")
async def get_witnessed(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the newest checkpoint that a witness cosigned."""
    log = ports_of(request).log
    return _given(await off_loop(lambda: log.kept(cosigned=True)), TEXT, NEVER)


@get("/keys")
async def get_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Give the verifier keys."""
    keys = await off_loop(keys_of, ports_of(request).log)
    return _given(msgspec.json.encode(keys), "application/json", NEVER)


def replacement_of(ports: Ports, position: int) -> Replacement:
    """Return what shows that an entry replaced the keys, in the form in which it is handed out.

    Raises:
        InputError: no entry at that position did.
    """
    found = logs.replacement(ports, Position(position))
    return Replacement(found.position, found.event.decode(), found.proof.decode())


@get("/keys/{position:int}")
async def get_replacement(
    request: Request[Any, Any, Any], position: FromPath[int]
) -> Response[bytes]:
    """Give what whoever trusts the keys before an entry needs to trust those after it."""
    try:
        found = await off_loop(replacement_of, ports_of(request), position)
    except InputError as error:
        raise NotFoundException(error.diagnostics()) from None
    return _given(msgspec.json.encode(found), "application/json", NEVER)


@get("/tile/{path:path}")
async def get_tile(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[bytes]:
    """Give a tile or a bundle of entries."""
    try:
        tile = parse_path(f"tile{path}")
    except InputError as error:
        raise NotFoundException(error.diagnostics()) from None
    data = await off_loop(ports_of(request).log.tile, tile)
    return _given(data, BYTES, FOR_EVER if tile.width == WIDTH else SOON_OVER)


@get("/consistency/{old:str}/{new:str}")
async def get_consistency(
    request: Request[Any, Any, Any], old: FromPath[str], new: FromPath[str]
) -> Response[bytes]:
    """Give the proof that the tree of one size begins with that of another; it never changes."""
    if not (_SIZE.fullmatch(old) and _SIZE.fullmatch(new)) or int(old) > int(new):
        raise NotFoundException("consistency: expected two sizes, the smaller one first")
    sizes = int(old), int(new)
    try:
        hashes = await off_loop(ports_of(request).log.consistency, *sizes)
    except InputError as error:
        raise NotFoundException(error.diagnostics()) from None
    found = Consistency(*sizes, [each.hex() for each in hashes])
    return _given(msgspec.json.encode(found), "application/json", FOR_EVER)


def _given(data: bytes | None, media_type: str, caching: str) -> Response[bytes]:
    if data is None:
        raise NotFoundException("the log has no such file, or not yet")
    return Response(data, media_type=media_type, headers={"Cache-Control": caching, **_PLAIN})

"""Witnesses as the operator names them: a file on other storage, or somebody who speaks C2SP tlog-witness.

    file:/mnt/other/withhold.seen
    https://witness.example/path#witness.example/w+5f8d9c10+BASE64     its verifier key after the #

Plain http is taken for this machine alone.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from withhold.adapters.witness.file import FileWitness
from withhold.adapters.witness.http import HttpWitness
from withhold.domain.notes import SignatureType, parse_key
from withhold.errors import InputError
from withhold.ports import Witness

__all__ = ["FileWitness", "HttpWitness", "witness_from"]

_COSIGN = {SignatureType.ED25519_COSIGNATURE, SignatureType.ML_DSA_44}
_HERE = {"127.0.0.1", "::1", "localhost"}


def witness_from(text: str, home: Path | None = None) -> Witness:
    """Return the witness that one part of ``WITHHOLD_WITNESS`` names.

    Args:
        text: that part.
        home: the installation it watches, in which no witness can be: it would be restored with it.

    Raises:
        InputError: it is not of a known form; the message says what was expected.
    """
    if text.startswith("file:"):
        path = Path(text.removeprefix("file:").removeprefix("//"))
        if not path.is_absolute():
            raise InputError(f"WITHHOLD_WITNESS {text[:80]!r}: expected file:/ and a whole path")
        if home is not None and path.resolve().is_relative_to(home.resolve()):
            raise InputError(
                f"WITHHOLD_WITNESS {text[:80]!r}: expected a place outside of the home, which is restored "
                "and copied as a whole"
            )
        return FileWitness(path)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InputError(f"WITHHOLD_WITNESS {text[:80]!r}: expected an address") from None
    is_here = parts.scheme == "http" and parts.hostname in _HERE
    is_plain = parts.username is None and not parts.query and parts.hostname
    if not is_plain or not (parts.scheme == "https" or is_here):
        raise InputError(
            f"WITHHOLD_WITNESS {text[:80]!r}: expected file:/PATH or https://ADDRESS#VERIFIERKEY; "
            "http only for this machine"
        )
    key = parse_key(parts.fragment)
    if key.type not in _COSIGN:
        raise InputError(
            f"WITHHOLD_WITNESS {text[:80]!r}: its verifier key is not one of a witness"
        )
    return HttpWitness((parts.scheme, parts.hostname or "", port), parts.path.rstrip("/"), key)

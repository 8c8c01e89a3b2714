"""Licenses by the names that others know: SPDX identifiers, or an address.

Source: the SPDX license list, as the library ``packaging`` has it. Not here: what a license allows.
"""

from __future__ import annotations

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from withhold.errors import InputError

_OWN = "LicenseRef-"  # a name outside the list, which says nothing without an address


def license_named(text: str) -> str:
    """Return an SPDX identifier as the list spells it; an address as it is.

    Raises:
        InputError: the list has no such identifier.
    """
    if "://" in text:
        return text
    try:
        found = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        found = _OWN
    if found.startswith(_OWN):
        raise InputError(
            f"license {text[:40]!r}: expected an identifier of the SPDX license list, for example "
            "CC-BY-4.0, or the address of a license"
        )
    return found

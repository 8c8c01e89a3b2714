"""JSON values for Hypothesis, two levels deep.

Not `st.recursive`: in a long run it may find its argument unused and warn, and a warning is an error here.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


def json_values(
    leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]
) -> st.SearchStrategy[Any]:
    """Return leaves, lists and objects of them, and lists and objects of those."""

    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return inner | st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4)

    return around(around(leaves))

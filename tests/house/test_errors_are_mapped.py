"""Every error has its HTTP answer in one table, and stands in the tree that opens `errors`."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import pytest

from withhold import errors
from withhold.errors import WithholdError
from withhold.web.problems import PROBLEMS


def _below(error: type[WithholdError]) -> Iterator[type[WithholdError]]:
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _below(child)


ERRORS = sorted(set(_below(WithholdError)), key=lambda error: error.__name__)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_problem_with_an_error_status(error: type[WithholdError]) -> None:
    assert error in PROBLEMS, f"{error.__name__}: give it a row in web/problems.py"
    status = HTTPStatus(PROBLEMS[error].status)
    assert status >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_stands_in_the_tree_of_the_module(error: type[WithholdError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")


def test_no_problem_is_of_an_error_that_does_not_exist() -> None:
    assert set(PROBLEMS) - {*ERRORS, WithholdError} == set()

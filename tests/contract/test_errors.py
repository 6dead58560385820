"""The error table and its classes are the same list, and problems survive the wire."""

import pytest

from local_daemon.protocol import errors


def test_every_code_has_exactly_one_class() -> None:
    assert set(errors.BY_CODE) == set(errors.TABLE)


@pytest.mark.parametrize("error_class", errors.BY_CODE.values(), ids=errors.BY_CODE.keys())
def test_a_problem_comes_back_as_the_error_it_was(error_class: type[errors.RopewayError]) -> None:
    error = error_class(retry_after_s=3, candidates=["a"])
    again = errors.from_problem(error.problem())
    assert (type(again), again.detail, again.retry_after_s, again.attributes) == (
        error_class, error.detail, 3.0, {"candidates": ["a"]},
    )  # fmt: skip


class _Wrapped(Exception):
    """It is said in two
    lines of the source."""


class _WrappedRefusal(errors.Forbidden):
    """It is said in two
    lines of the source."""


@pytest.mark.parametrize("error", [_Wrapped(), _WrappedRefusal()])
def test_an_error_raised_without_words_says_its_docstring_on_one_line(error: Exception) -> None:
    assert errors.said(error) == "It is said in two lines of the source."


def test_an_error_raised_with_words_says_those() -> None:
    assert [errors.said(error("As it\nis.")) for error in (_Wrapped, _WrappedRefusal)] == ["As it\nis."] * 2


def test_an_unknown_code_is_internal_and_never_retried() -> None:
    error = errors.from_problem({"code": "brand_new", "detail": "?"})
    assert isinstance(error, errors.Internal)
    assert not error.is_retryable


@pytest.mark.parametrize("name", ["detail", "retry_after_s", "self", "code", "row"])
def test_an_attribute_of_any_name_comes_back(name: str) -> None:
    error = errors.from_problem({"code": "not_found", "detail": "No.", "attributes": {name: 1}})
    assert (error.detail, error.attributes, error.code) == ("No.", {name: 1}, "not_found")


@pytest.mark.parametrize("said", [float("nan"), float("inf"), -1, 10**400, True, "5", None, [1]])
def test_a_time_to_retry_that_is_none_is_passed_over(said: object) -> None:
    assert errors.from_problem({"code": "rate_limited", "retry_after_s": said}).retry_after_s is None

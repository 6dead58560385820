"""HTTP's own refusals are errors of the one table, but for their status."""

import pytest

from local_daemon.protocol import errors
from relay import http_refusals

REFUSALS = [
    (http_refusals.NotAcceptable, 406, "invalid_request"),
    (http_refusals.BodyTooSlow, 408, "deadline_exceeded"),
    (http_refusals.UnsupportedMediaType, 415, "invalid_request"),
    (http_refusals.Misdirected, 421, "forbidden"),
    (http_refusals.PreconditionRequired, 428, "precondition_failed"),
]


@pytest.mark.parametrize(("refusal", "status", "code"), REFUSALS)
def test_a_refusal_says_its_own_status_and_a_code_of_the_table(
    refusal: type[errors.RopewayError], status: int, code: str
) -> None:
    error = refusal()
    problem = error.problem()
    assert (error.row.http, problem["status"], problem["code"]) == (status, status, code)
    assert problem["retryable"] is errors.TABLE[code].retryable
    assert problem["detail"] == refusal.__doc__

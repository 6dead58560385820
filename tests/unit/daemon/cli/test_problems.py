import click
import pytest

from local_daemon.cli import problems
from local_daemon.client.errors import ContentDamaged, DaemonUnreachable
from local_daemon.config.home import HomeUnsafe, HomeUnusable
from local_daemon.identity.places import HomeCopied
from local_daemon.protocol import errors
from local_daemon.service.errors import ServiceRefused

MEMBERS = {"type", "title", "status", "detail", "code", "retryable"}


@pytest.mark.parametrize(
    ("error", "code", "status", "is_retryable"),
    [
        (errors.NotFound("no"), "not_found", 404, False),
        (click.UsageError("no"), "invalid_request", 400, False),
        (click.ClickException("no"), "invalid_request", 400, False),
        (DaemonUnreachable(), "daemon_unreachable", 503, True),
        (ContentDamaged(), "content_damaged", 502, False),
        (HomeUnsafe(), "home_unsafe", 403, False),
        (HomeUnusable(), "home_unusable", 409, False),
        (HomeCopied(), "home_copied", 409, False),
        (ServiceRefused(), "service_refused", 503, False),
        (ZeroDivisionError("within"), "internal", 500, False),
    ],
)
def test_whoever_found_an_error_it_has_the_same_members(
    error: Exception, code: str, status: int, is_retryable: bool
) -> None:
    problem = problems.problem_of(error)
    assert set(problem) == MEMBERS
    assert (problem["code"], problem["status"], problem["retryable"]) == (code, status, is_retryable)
    assert problem["type"] == f"urn:ropeway:error:{code}"
    assert problem["detail"]
    assert "\n" not in problem["detail"]


def test_what_nobody_expected_is_not_told_to_who_reads_the_document() -> None:
    assert "within" not in problems.problem_of(ZeroDivisionError("within"))["detail"]


def test_a_code_of_this_side_is_none_of_the_error_table() -> None:
    assert not {row.code for row in problems._OF_THIS_SIDE.values()} & set(errors.TABLE)

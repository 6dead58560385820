"""Why a CLI failed, from words that CLIs were seen to say."""

import pytest

from local_daemon.executors import failures
from local_daemon.protocol.states import FailureCause


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("unexpected status 401 Unauthorized: no", FailureCause.AUTH),
        ("Not logged in · Please run /login", FailureCause.AUTH),
        ("Missing API key for OpenAI-compatible auth.", FailureCause.AUTH),
        ("Invalid auth method selected.", FailureCause.AUTH),
        ("exceeded retry limit, last status: 429 Too Many Requests", FailureCause.RATE_LIMIT),
        ("You've hit your usage limit.", FailureCause.RATE_LIMIT),
        ("API Error: Connection refused — a firewall may be blocking it (ECONNREFUSED)", FailureCause.NETWORK),
        ("stream disconnected before completion: error sending request", FailureCause.NETWORK),
        ("We’re currently experiencing high demand, which may cause temporary errors.", FailureCause.SERVICE),
        ("API Error: 529 overloaded", FailureCause.SERVICE),
        ("The model refused this request.", FailureCause.REFUSED),
        ("Reached maximum budget ($0.5)", FailureCause.BUDGET),
        ("panic: index out of range", None),
    ],
)
def test_the_words_tell_the_cause(said, cause):
    assert failures.cause_of(said) is cause


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (401, FailureCause.AUTH), (403, FailureCause.AUTH), (429, FailureCause.RATE_LIMIT),
        (400, FailureCause.REFUSED), (500, FailureCause.SERVICE), (529, FailureCause.SERVICE),
    ],
)  # fmt: skip
def test_a_status_outranks_the_words(status, cause):
    assert failures.cause_of("rate limit, not logged in", status=status) is cause

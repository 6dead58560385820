"""Why a CLI failed, told from the words and status codes it leaves: a table, and nothing more clever.

The first rule that fits decides, so what is told apart most surely stands first. Called by `transcript`.
Tests: tests/unit/daemon/executors/test_failures.py.
"""

import re
from types import MappingProxyType

from local_daemon.protocol.states import FailureCause

WORDS_CHARACTERS_MAX = 16 * 1024
"""Why it failed is said at the beginning; megabytes behind it are looked at by nobody."""

RETRYABLE = frozenset({FailureCause.RATE_LIMIT, FailureCause.NETWORK, FailureCause.SERVICE})
"""What may go away by itself."""

_BY_STATUS = MappingProxyType(
    {401: FailureCause.AUTH, 402: FailureCause.RATE_LIMIT, 403: FailureCause.AUTH, 429: FailureCause.RATE_LIMIT}
)
_BY_WORDS = tuple(
    (cause, re.compile(words, re.IGNORECASE))
    for cause, words in (
        (FailureCause.BUDGET, r"maximum budget|max.?budget"),
        (FailureCause.RATE_LIMIT, r"\b429\b|rate.?limit|usage limit|quota|too many requests|resource.exhausted"),
        (
            FailureCause.AUTH,
            r"not logged in|log ?in again|unauthori[sz]ed|authenticat|auth method|api.?key|invalid.x-api-key|"
            r"credential|\b40[13]\b|missing environment variable|permission.denied.*(api|model)",
        ),
        (
            FailureCause.NETWORK,
            r"ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|fetch failed|network|stream disconnected|"
            r"connection (error|refused|reset|failed|closed)|error sending request|unable to connect|dns|proxy",
        ),
        (FailureCause.SERVICE, r"\b5\d\d\b|overloaded|high demand|server.?error|service unavailable|bad gateway"),
        (
            FailureCause.REFUSED,
            r"refus|\b400\b|\b404\b|invalid.request|not (supported|found|allowed)|blocked|safety|policy",
        ),
    )
)


def cause_of(said: str, *, status: int | None = None) -> FailureCause | None:
    """Why, by the status its model's service answered with, else by its words; None where neither tells."""
    if status is not None:
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        if status >= 400:
            return FailureCause.SERVICE if status >= 500 else FailureCause.REFUSED
    return next((cause for cause, words in _BY_WORDS if words.search(said[:WORDS_CHARACTERS_MAX])), None)

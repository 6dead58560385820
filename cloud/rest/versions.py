"""The version of a row as an ETag, and the If-Match that answers it: nobody overwrites what they have not seen.

The services compare; this only reads and writes the headers. Tests: tests/unit/cloud/rest/test_versions.py.
"""

import re

from cloud.rest.endpoints import IfMatch
from local_daemon.protocol import errors
from relay import http_refusals

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_VERSION = re.compile(r"[0-9]{1,9}")
_NEVER = -1


def etag_of(version: int) -> str:
    """The header that tells a version."""
    return f'"{version}"'


def expected_version(sent: str | None, rule: IfMatch) -> int | None:
    """The version that the caller saw; None: whatever it is now.

    Raises PreconditionRequired, InvalidRequest for what is no entity tag. A tag that is none of ours fits nothing."""
    if rule is IfMatch.IGNORED:
        return None
    if sent is None:
        if rule is IfMatch.REQUIRED:
            raise http_refusals.PreconditionRequired
        return None
    if sent.strip() == "*":
        return None
    match = _TAG.fullmatch(sent.strip())
    if match is None:
        raise errors.InvalidRequest('If-Match takes one entity tag, as ETag told it, or "*".')
    is_weak, version = match.groups()
    return int(version) if not is_weak and _VERSION.fullmatch(version) else _NEVER

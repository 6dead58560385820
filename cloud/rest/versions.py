"""ETags: what If-None-Match saves and If-Match keeps from being overwritten.

A tag has two parts, `"3-9f86d081884c7d65"`: the object's version, where it has one, and a digest of the answer. Reads
compare the whole, for an answer also tells what nobody changed (whether a machine is online). Changes compare the
version alone, so that a machine's coming and going refuses nobody's change; it may be sent by itself, `"3"`. The
services compare; this only reads and writes the headers. Tests: tests/unit/cloud/rest/test_versions.py.
"""

import hashlib
import re

from pydantic import BaseModel

from cloud.rest.endpoints import IfMatch
from local_daemon.protocol import errors
from relay import http_refusals

_COUNTING = ("version", "mapping_version")
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_VERSION = re.compile(r"([0-9]{1,9})(-[0-9a-f]{16})?")
_DIGEST_CHARACTERS = 16
_NEVER = -1


def version_member(model: type[BaseModel]) -> str | None:
    """Which member counts an object's changes; None: there is none. (A version that is a text is some program's.)"""
    fields = model.model_fields
    return next((name for name in _COUNTING if name in fields and fields[name].annotation is int), None)


def version_of(told: BaseModel) -> int | None:
    """The version of the object that is told."""
    name = version_member(type(told))
    version: int | None = getattr(told, name) if name else None
    return version


def etag_of(version: int | None, content: bytes) -> str:
    """The header of an answer."""
    digest = hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]
    return f'"{digest}"' if version is None else f'"{version}-{digest}"'


def is_known(etag: str, sent: str | None) -> bool:
    """Whether who sent this If-None-Match has that answer already."""
    if sent is None:
        return False
    # A proxy that compresses weakens the tag.
    tags = {tag.strip().removeprefix("W/") for tag in sent.split(",")}
    return etag in tags or "*" in tags


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
    is_weak, tag = match.groups()
    version = _VERSION.fullmatch(tag)
    return int(version[1]) if version and not is_weak else _NEVER

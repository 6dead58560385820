"""Finds what looks like a credential in a patch, by a few well-known shapes, and what is known to be one.

Pure. A net with wide meshes, to catch the usual accident before it is shown to others; no proof of absence. What it
finds is named, never repeated. Called by `rules`. Tests: tests/unit/daemon/policies/test_secrets.py.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from local_daemon.processes import secrecy

SHAPES: Mapping[str, re.Pattern[bytes]] = MappingProxyType(
    {
        "a private key": re.compile(rb"-----BEGIN (?:[A-Z]{2,10} ){0,3}PRIVATE KEY-----"),
        "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        "a GitHub token": re.compile(rb"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{60})"),
        "a GitLab token": re.compile(rb"\bglpat-[0-9A-Za-z_-]{20}"),
        "a Slack token": re.compile(rb"\bxox[abeoprs]-[0-9A-Za-z-]{20}"),
        "a Google API key": re.compile(rb"\bAIza[0-9A-Za-z_-]{35}"),
        "an Anthropic key": re.compile(rb"\bsk-ant-[0-9A-Za-z_-]{24}"),
        "an OpenAI key": re.compile(rb"\bsk-(?:proj|svcacct|admin)-[0-9A-Za-z_-]{24}"),
        "a Stripe key": re.compile(rb"\b[rs]k_live_[0-9A-Za-z]{20}"),
    }
)
"""What a credential is called, and what it looks like. Every shape is anchored by a fixed beginning, so a scan is
linear."""

KNOWN_CHARACTERS_MIN = 8
"""A shorter value stands in many a patch by chance."""

_ADDED = re.compile(rb"^\+.*$", re.MULTILINE)


def secrets_named(patch: bytes) -> tuple[str, ...]:
    """What kinds of credentials seem to stand in the patch, in added, removed or context lines alike: all travel."""
    return tuple(name for name, shape in SHAPES.items() if shape.search(patch) is not None)


def secrets_known(patch: bytes, known: Mapping[str, str]) -> tuple[str, ...]:
    """Which of the secrets known by name have their value in added lines; one of several lines counts by any of them.

    An environment file holds more settings than secrets (`DB_HOST=localhost`): only a value that is named like a secret
    counts, or one with a password in it. What stood there before is in the repository already."""
    telling = {name: lines for name, value in sorted(known.items()) if (lines := _telling_lines(name, value))}
    if not telling:
        return ()
    added = b"\n".join(_ADDED.findall(patch))
    return tuple(f"the value of {name}" for name, lines in telling.items() if any(line in added for line in lines))


def _telling_lines(name: str, value: str) -> list[bytes]:
    if not secrecy.is_named_secret(name) and not secrecy.passwords_in(value):
        return []
    lines = [line for line in value.splitlines() if len(line) >= KNOWN_CHARACTERS_MIN]
    return [line.encode("utf-8", errors="surrogateescape") for line in lines]

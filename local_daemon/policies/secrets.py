"""Finds what looks like a credential in a patch (`credentials.SHAPES`), and what is known to be one.

Pure. A net with wide meshes, to catch the usual accident before it is shown to others; no proof of absence. What it
finds is named, never repeated. Called by `rules`. Tests: tests/unit/daemon/policies/test_secrets.py.
"""

import re
from collections.abc import Mapping

from local_daemon.processes import credentials, secrecy

NAMES = tuple(dict.fromkeys(shape.name for shape in credentials.SHAPES if shape.sign is not None))
"""What the credentials are called that are looked for in a patch."""

KNOWN_CHARACTERS_MIN = 8
"""A shorter value stands in many a patch by chance."""

_ADDED = re.compile(rb"^\+.*$", re.MULTILINE)


def secrets_named(patch: bytes) -> tuple[str, ...]:
    """What kinds of credentials seem to stand in the patch, in added, removed or context lines alike: all travel."""
    named = {shape.name for shape in credentials.SHAPES if credentials.is_signed(shape, patch)}
    return tuple(name for name in NAMES if name in named)


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

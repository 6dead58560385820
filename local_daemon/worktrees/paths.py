"""Git's paths are bytes; records and JSON hold text. This is the one, reversible, way between the two.

Pure. An ordinary path is itself. A backslash, a character that doesn't print and a byte that isn't UTF-8 become
octal escapes, so that no name can break a line, hide its direction or collide with another.
Tests: tests/unit/daemon/worktrees/test_paths.py.
"""

import re

_ESCAPE = re.compile(r"\\([0-7]{3})")


def path_text(raw: bytes) -> str:
    """The path as text: printable, valid Unicode, different for different paths."""
    decoded = raw.decode("utf-8", errors="surrogateescape")
    if decoded.isprintable() and "\\" not in decoded:
        return decoded
    return "".join(_character_text(character) for character in decoded)


def _character_text(character: str) -> str:
    if character.isprintable() and character != "\\":
        return character
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", errors="surrogateescape"))


def path_raw(text: str) -> bytes:
    """The path that `path_text` wrote as this text."""
    parts = _ESCAPE.split(text)  # Text and octal digits, in turn.
    return b"".join(
        bytes([int(part, 8)]) if position % 2 else part.encode("utf-8") for position, part in enumerate(parts)
    )

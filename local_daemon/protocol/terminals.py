"""Others' words on a terminal: made harmless, or spelled out for who is to agree to them.

What machines and executors say may hold anything; its terminal codes are for a terminal of its own. Pure, and without
a library that draws. Called by the commands of the daemon (`local_daemon/cli`) and of the cloud (`cloud/cloudctl`).
Tests: tests/unit/daemon/protocol/test_terminals.py.
"""

import re

# A title ends in its line, or it is none: what follows would go with it.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(\x07|\x1b\\)|[@-Z\\^_])")


def plain(text: str) -> str:
    """One line of the text, without what would move a terminal's cursor, colour it or ring its bell."""
    return _harmless(text, kept="")


def plain_lines(text: str) -> str:
    """The same, but lines stay lines."""
    return _harmless(text, kept="\n")


def spelled(text: str) -> str:
    """The text with all that stands in it, for who is to agree to it: what would steer a terminal, and what cannot be
    seen, is spelled out. Lines stay lines."""
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


def _harmless(text: str, *, kept: str) -> str:
    bare = _ESCAPES.sub("", text)
    return "".join(character if character.isprintable() or character == kept else " " for character in bare)

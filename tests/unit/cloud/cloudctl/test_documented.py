"""What the documents show of `cloudctl` can be typed: each command is there, and takes each option."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cloud.cloudctl import main

ROOT = Path(__file__).parents[4]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
# In a code span or block: words, then what follows up to what ends a command.
_SHOWN = re.compile(r"(?:^|`|\| |&& )cloudctl ([a-z][^`|#;&\n]*)", re.MULTILINE)


def shown_in(page: Path) -> list[list[str]]:
    """The commands that a page shows, word by word."""
    return [shlex.split(found.rstrip("\\")) for found in _SHOWN.findall(page.read_text())]


def unknown(words: list[str]) -> list[str]:
    """What of a command there is not."""
    command: click.Command = main.cloudctl
    context = click.Context(command)
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        below = command.get_command(context, rest[0])
        if below is None:
            return rest[:1]
        command, context = below, click.Context(below, parent=context)
        rest.pop(0)
    taken = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in rest if word.startswith("--") and word.partition("=")[0] not in taken]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_can_be_typed(page: Path) -> None:
    assert [words for words in shown_in(page) if unknown(words)] == []


def test_the_pages_for_admins_are_read() -> None:
    assert len(shown_in(ROOT / "docs" / "admins.md")) > 25

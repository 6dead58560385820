"""The generated pages say what the programs' parsers say, and are found from where people look."""

from pathlib import Path

import pytest

from deploy.development import command_pages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", sorted(command_pages.INTRODUCTIONS))
def test_a_programs_page_is_current(name: str) -> None:
    page = command_pages.page_of(name)
    assert page.read_text() == command_pages.render(name), "Run `make docs` and commit the page."


@pytest.mark.parametrize(
    ("name", "linked_from"),
    [("cloudctl", "docs/admins.md"), ("ropeway", "docs/operators.md"), ("ropeway-connector", "docs/operators.md")],
)
def test_a_programs_page_is_linked(name: str, linked_from: str) -> None:
    assert f"reference/{name}.md" in (ROOT / linked_from).read_text()

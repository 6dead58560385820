"""Cursors carry a place in the list, and only one of ours is taken."""

from dataclasses import dataclass

import pytest

from local_daemon.protocol import errors
from local_daemon.storage import pages


@dataclass(frozen=True)
class Item:
    """Something in a list."""

    position: int


def test_a_page_ends_with_a_cursor_only_if_there_is_more() -> None:
    items = [Item(position) for position in (5, 4, 3)]
    assert pages.page_cut(items, limit=2) == ((Item(5), Item(4)), "4")
    assert pages.page_cut(items, limit=3) == (tuple(items), None)


def test_a_list_goes_on_where_the_page_ended() -> None:
    assert pages.before_position("4") == pages.after_position("4") == 4
    assert pages.after_position(None) == 0
    assert pages.before_position(None) > 10**18


@pytest.mark.parametrize("cursor", ["", "-1", "4x", "١", "9" * 19, "abc="])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        pages.after_position(cursor)

from datetime import UTC, datetime
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st

from cloud.rest import pages
from local_daemon.protocol import errors, ids, messages

RUN = ids.new_id(ids.IdPrefix.RUN)
ROW = ids.new_uuid7()


def test_a_cursor_leads_back_to_its_row() -> None:
    assert pages.after_row(pages.cursor_write(ROW)) == ROW
    assert pages.after_number(pages.cursor_write(12)) == 12
    assert pages.after_record(pages.cursor_write(RUN), ids.IdPrefix.RUN) == RUN
    day = datetime.now(UTC).date()
    assert pages.after_day(pages.cursor_write(pages.day_write(day, ROW))) == (day, ROW)


def test_no_cursor_is_the_first_page() -> None:
    assert pages.after_row(None) is pages.after_number(None) is pages.after_day(None) is None
    assert pages.after_record(None, ids.IdPrefix.RUN) is None


def test_a_cursor_is_one_that_the_query_takes() -> None:
    for mark in (ROW, RUN, 2**63, pages.day_write(datetime.now(UTC).date(), ROW)):
        assert messages.PageQuery(cursor=pages.cursor_write(mark)).cursor == pages.cursor_write(mark)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest):
        pages.after_row(pages.cursor_write(RUN))
    with pytest.raises(errors.InvalidRequest):
        pages.after_number(pages.cursor_write(ROW))
    with pytest.raises(errors.InvalidRequest):
        pages.after_record(pages.cursor_write(RUN), ids.IdPrefix.STEP)
    with pytest.raises(errors.InvalidRequest):
        pages.after_day(pages.cursor_write(ROW))


@hypothesis.given(st.from_regex(r"\A[A-Za-z0-9_=-]{1,200}\Z"))
def test_whatever_is_sent_as_a_cursor_is_one_or_is_refused(cursor: str) -> None:
    for read in (pages.after_row, pages.after_number, pages.after_day):
        try:
            found = read(cursor)
        except errors.InvalidRequest:
            continue
        assert isinstance(found, UUID | int | tuple)

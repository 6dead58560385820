import pytest

from local_daemon.http_api import responses
from local_daemon.protocol import errors


@pytest.mark.parametrize(
    ("header", "offset", "length"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=90-", 90, 10),
        ("bytes=90-1000", 90, 10),
        ("bytes=-10", 90, 10),
        ("bytes=-1000", 0, 100),
    ],
)
def test_a_range_becomes_an_offset_and_a_length(header: str, offset: int, length: int) -> None:
    asked = responses.range_parse(header)
    assert asked is not None
    query = asked.query(100)
    assert (query.offset, query.length) == (offset, length)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_without_any_byte_is_refused(header: str) -> None:
    asked = responses.range_parse(header)
    assert asked is not None
    with pytest.raises(errors.RangeInvalid):
        asked.query(100)


@pytest.mark.parametrize(
    "header", [None, "", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,3-4", "items=0-1", "bytes=a-b"]
)
def test_what_is_no_single_range_asks_for_everything(header: str | None) -> None:
    assert responses.range_parse(header) is None

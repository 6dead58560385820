"""Whatever a query string, a range or a position holds, it is read exactly or refused as the table says."""

from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from local_daemon.http_api import event_stream, requests, responses
from local_daemon.protocol import errors, messages

ANY_QUERY = st.binary(max_size=60) | st.text(alphabet="repository_id=after_seq&limit%0123456789+;", max_size=80).map(
    str.encode
)


@given(ANY_QUERY)
def test_any_query_is_read_or_refused(raw: bytes) -> None:
    for model in (messages.PageQuery, messages.LogQuery, messages.WaitQuery, None):
        try:
            requests.query_parse(model, raw)
        except errors.InvalidRequest:
            continue


@given(ANY_QUERY)
def test_any_positions_are_read_or_refused(raw: bytes) -> None:
    try:
        positions = event_stream.positions_parse(raw)
    except errors.InvalidRequest:
        return
    assert all(position >= 0 for position in positions.values())


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_a_text_in_a_query_comes_through_as_it_was(text: str) -> None:
    pairs = requests.pairs_parse(urlencode({"name": text}).encode(), limit_bytes=4096, limit_fields=5)
    assert pairs == [("name", text)]


@given(st.text(max_size=30) | st.from_regex(r"bytes=[0-9]{0,20}-[0-9]{0,20}", fullmatch=True), st.integers(0, 1000))
def test_any_range_lies_within_the_content_or_is_refused(header: str, size_bytes: int) -> None:
    wanted = responses.range_parse(header)
    if wanted is None:
        return
    try:
        query = wanted.query(size_bytes)
    except errors.RangeInvalid:
        return
    assert query.length is not None
    assert 0 <= query.offset < query.offset + query.length <= size_bytes

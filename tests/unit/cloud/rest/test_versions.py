import pytest

from cloud.rest import versions
from cloud.rest.endpoints import IfMatch
from local_daemon.protocol import errors
from relay import http_refusals


def test_an_etag_comes_back_as_the_version_that_it_told() -> None:
    assert versions.expected_version(versions.etag_of(7), IfMatch.REQUIRED) == 7


@pytest.mark.parametrize("rule", [IfMatch.HONOURED, IfMatch.REQUIRED])
def test_a_star_is_whatever_it_is_now(rule: IfMatch) -> None:
    assert versions.expected_version("*", rule) is None


@pytest.mark.parametrize("sent", ['W/"7"', '"seven"', '""', '"9999999999"', '"-7"', '"７"'.encode().decode("latin-1")])
def test_a_tag_that_is_none_of_ours_fits_no_version(sent: str) -> None:
    try:
        found = versions.expected_version(sent, IfMatch.REQUIRED)
    except errors.InvalidRequest:
        return
    assert found == -1


@pytest.mark.parametrize("sent", ["7", '"7', '"7", "8"', ""])
def test_what_is_no_tag_is_refused(sent: str) -> None:
    with pytest.raises(errors.InvalidRequest):
        versions.expected_version(sent, IfMatch.HONOURED)


def test_only_what_requires_one_is_refused_without() -> None:
    assert versions.expected_version(None, IfMatch.HONOURED) is None
    assert versions.expected_version('"7"', IfMatch.IGNORED) is None
    with pytest.raises(http_refusals.PreconditionRequired):
        versions.expected_version(None, IfMatch.REQUIRED)

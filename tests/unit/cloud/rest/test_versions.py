import pytest

from cloud.rest import versions
from cloud.rest.endpoints import IfMatch
from local_daemon.protocol import errors
from relay import http_refusals


@pytest.mark.parametrize("sent", [versions.etag_of(7, b"{}"), versions.etag_of(7, b"[]"), '"7"'])
def test_an_etag_comes_back_as_the_version_that_it_told(sent: str) -> None:
    assert versions.expected_version(sent, IfMatch.REQUIRED) == 7


def test_an_etag_without_a_version_fits_none() -> None:
    assert versions.expected_version(versions.etag_of(None, b"{}"), IfMatch.REQUIRED) == -1


@pytest.mark.parametrize("sent", ["{0}", "W/{0}", '"other", {0}', '"other" ,W/{0}', "*"])
def test_who_has_the_answer_already_says_so_by_its_tag(sent: str) -> None:
    tag = versions.etag_of(7, b"{}")
    assert versions.is_known(tag, sent.format(tag))


@pytest.mark.parametrize("sent", [None, "", '"7"', "7", versions.etag_of(7, b"[]"), versions.etag_of(None, b"{}")])
def test_who_has_another_answer_has_not_this_one(sent: str | None) -> None:
    assert not versions.is_known(versions.etag_of(7, b"{}"), sent)


@pytest.mark.parametrize("rule", [IfMatch.HONOURED, IfMatch.REQUIRED])
def test_a_star_is_whatever_it_is_now(rule: IfMatch) -> None:
    assert versions.expected_version("*", rule) is None


@pytest.mark.parametrize(
    "sent", ['W/"7"', '"seven"', '"7-"', '"7-x"', '""', '"9999999999"', '"-7"', '"７"'.encode().decode("latin-1")]
)
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

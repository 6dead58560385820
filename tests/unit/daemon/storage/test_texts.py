"""Whatever an executor says fits the record."""

from hypothesis import given
from hypothesis import strategies as st

from local_daemon.protocol import specs, states
from local_daemon.storage import texts


@given(st.text(alphabet=st.characters(codec=None)), st.integers(min_value=10, max_value=60))
def test_cut_text_always_fits_and_can_be_stored(text: str, limit: int) -> None:
    cut = texts.text_cut(text, limit_bytes=limit)
    assert len(cut.encode()) <= limit
    assert "\x00" not in cut


def test_text_that_fits_is_kept_as_it_is() -> None:
    assert texts.text_cut("grüße", limit_bytes=7) == "grüße"


def test_text_that_was_cut_says_so_and_ends_on_a_whole_character() -> None:
    assert texts.text_cut("ü" * 10, limit_bytes=10) == "üüü…"


def test_too_many_warnings_are_counted() -> None:
    cut = texts.warnings_cut([f"warning {index}" for index in range(25)])
    assert len(cut) == 21
    assert cut[-1] == "and 5 more warnings"


def test_a_failures_detail_is_bounded() -> None:
    failure = specs.Failure(kind=states.FailureKind.EXECUTOR, detail="x" * 100_000, retryable=True)
    cut = texts.failure_cut(failure)
    assert cut is not None
    assert (len(cut.detail.encode()), cut.retryable) == (8192, True)

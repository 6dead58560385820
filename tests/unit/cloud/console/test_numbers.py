"""Numbers as the console writes them."""

import pytest

from cloud.console.templatetags.console_numbers import dollars


@pytest.mark.parametrize(
    ("micros", "written"), [(None, ""), (0, "$0.00"), (1_234_560_000, "$1,234.56"), (4_999, "$0.00"), (5_001, "$0.01")]
)
def test_millionths_of_a_dollar_are_written_as_dollars_and_cents(micros: int | None, written: str) -> None:
    assert dollars(micros) == written

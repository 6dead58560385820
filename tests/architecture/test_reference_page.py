"""The generated page says what the tables say."""

from deploy.development import reference_page


def test_the_reference_page_is_current() -> None:
    assert reference_page.PAGE.read_text() == reference_page.render(), "Run `make docs` and commit the page."

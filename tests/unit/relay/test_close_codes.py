"""How a link ends: with a code that the server we run under is able to send."""

from local_daemon.protocol import errors
from relay import consumers


def test_every_close_code_is_one_that_daphne_sends() -> None:
    """Autobahn, below daphne, raises for any but 1000 and 3000 to 4999."""
    codes = {consumers.close_code(error()) for error in errors.BY_CODE.values()}
    assert all(3000 <= code <= 4999 for code in codes), codes

"""From where what is done now was asked for: the client's address, said once by the surface and told with each event.

Travels in the context, so that no service between the two passes it on. What runs without a request has none. Set by
`cloud.config.mounts`, read by `services.event_record`. Tests: tests/integration/cloud/relay/test_client_addresses.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_client_address: ContextVar[str | None] = ContextVar("client_address", default=None)


def client_address() -> str | None:
    """Who asked, for what is done in this context; None for the installation itself, or somebody unknown."""
    return _client_address.get()


@contextmanager
def asked_from(address: str | None) -> Iterator[None]:
    """Everything inside was asked for from there."""
    token = _client_address.set(address)
    try:
        yield
    finally:
        _client_address.reset(token)

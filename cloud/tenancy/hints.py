"""What processes tell each other by NOTIFY: hints, made of ids, and read as far as one's own release understands them.

While a release is rolled out, processes of two releases hear each other. A newer one may add parts behind those there
are, and words of its own; it changes no part's meaning. Whoever reads passes over what is behind, and takes a part it
cannot read for one that was not said. Told in the commit that makes it true. Called by whoever has a channel. Tests:
tests/unit/cloud/tenancy/test_hints.py.
"""

from uuid import UUID

from cloud.tenancy.transaction import execute_later


def hint_tell(channel: str, payload: str) -> None:
    """With the open transaction's commit, tell everybody who listens there."""
    execute_later("SELECT pg_notify(%s, %s)", [channel, payload])


def hint_parts(payload: str, count: int, *, between: str = "/") -> tuple[str, ...]:
    """The first so many parts of a payload, '' for each that is missing."""
    parts = payload.split(between, count)[:count]
    return (*parts, *[""] * (count - len(parts)))


def id_find(part: str) -> UUID | None:
    """The id that a part is; None where it is none."""
    try:
        return UUID(part)
    except ValueError:
        return None

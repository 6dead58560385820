"""Which link of a connector is the live one of this process."""

from types import SimpleNamespace
from typing import cast

from relay.links import LiveLink
from relay.registry import LinkRegistry


def link_of(connector_id: str) -> LiveLink:
    return cast("LiveLink", SimpleNamespace(grant=SimpleNamespace(connector_id=connector_id)))


def test_a_newer_link_takes_the_place_of_the_older() -> None:
    registry, older, newer = LinkRegistry(), link_of("one"), link_of("one")
    assert registry.put(older) is None
    assert registry.put(newer) is older
    assert registry.find("one") is newer


def test_an_older_link_that_ends_late_leaves_the_newer_in_place() -> None:
    registry, older, newer = LinkRegistry(), link_of("one"), link_of("one")
    registry.put(older)
    registry.put(newer)
    registry.remove(older)
    assert registry.find("one") is newer


def test_a_link_that_ended_is_forgotten() -> None:
    registry, link = LinkRegistry(), link_of("one")
    registry.put(link)
    registry.put(link_of("two"))
    registry.remove(link)
    assert registry.find("one") is None
    assert registry.connector_ids() == ["two"]

"""Which connector's live link ends in this process.

One link a connector: a newer one takes the place of an older. Deliberately only memory: which process holds a link is
on record with whoever fills LinkBook. Tests: tests/unit/relay/test_registry.py.
"""

from relay.links import LiveLink


class LinkRegistry:
    """Live links by connector id."""

    def __init__(self) -> None:
        self._links: dict[str, LiveLink] = {}

    def put(self, link: LiveLink) -> LiveLink | None:
        """Make it the connector's link; answers the one it replaces."""
        before = self._links.get(link.grant.connector_id)
        self._links[link.grant.connector_id] = link
        return before

    def remove(self, link: LiveLink) -> None:
        """Forget it, unless another took its place already."""
        if self._links.get(link.grant.connector_id) is link:
            del self._links[link.grant.connector_id]

    def find(self, connector_id: str) -> LiveLink | None:
        """The connector's link, if it ends here."""
        return self._links.get(connector_id)

    def links(self) -> list[LiveLink]:
        """All that end here."""
        return list(self._links.values())

    def connector_ids(self) -> list[str]:
        """Whose links end here."""
        return list(self._links)

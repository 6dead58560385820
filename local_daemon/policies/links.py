"""Which symbolic links could lead out of the tree they stand in, or into its `.git`.

Pure, and without looking at any disk: a target that can't be shown to stay inside counts as leading out. Called by
`rules`. Tests: tests/unit/daemon/policies/test_links.py.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link that a change makes; `path` and `target` as text, as git stores them."""

    path: str
    target: str


def links_outward(links: Iterable[Link]) -> tuple[str, ...]:
    """The paths of those that may lead out."""
    return tuple(link.path for link in links if _leads_out(link))


def _leads_out(link: Link) -> bool:
    if link.target.startswith("/"):
        return True
    parts = [part for part in link.target.split("/") if part not in ("", ".")]
    climbs = next((count for count, part in enumerate(parts) if part != ".."), len(parts))
    # After a name, `..` leads wherever that name leads: it may be a link itself.
    return climbs > link.path.count("/") or ".." in parts[climbs:] or ".git" in map(str.lower, parts)

"""Telling every serving process that a credential ended, so that what it holds open ends too.

A NOTIFY in the commit that ends it: ids only, heard after the commit. A hint: whoever listens anew, or hears nothing,
still asks at the next use. Told by services of tenancy, access and connectors, for accounts and sessions by triggers of
`cloud.accounts`; the relay, the MCP server and the console's pages listen on CHANNEL. Tests:
tests/integration/cloud/access/test_rotation.py, tests/integration/cloud/relay/test_live.py.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from cloud.tenancy import hints

CHANNEL = "ropeway_revocations"


class Revoked(StrEnum):
    """What ended, and with it everything opened in its name."""

    ORGANIZATION = "organization"  # suspended or deleted: all of its principals and links
    WORKSPACE = "workspace"  # suspended or deleted: look again at what is open in its projects
    PROJECT = "project"  # likewise
    MEMBERSHIP = "membership"  # removed or changed: the person, and the tokens they hold
    TOKEN = "token"  # noqa: S105 - a word; revoked, or superseded at once
    CONNECTOR = "connector"  # disabled, released, or mapped anew: its link
    USER = "user"  # deactivated, made less, or with another password: their pages
    SESSION = "session"  # signed out: some page; the id is none, for a session's is a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One thing that ended."""

    kind: Revoked
    id: UUID


def revocation_tell(kind: Revoked, ended: UUID) -> None:
    """With the open transaction's commit, tell everybody."""
    hints.hint_tell(CHANNEL, f"{kind}:{ended}")


def revocation_read(payload: str) -> Revocation | None:
    """What a notification on CHANNEL says; None for one that only a newer release understands."""
    word, ended = hints.hint_parts(payload, 2, between=":")
    ended_id = hints.id_find(ended)
    if word not in set(Revoked) or ended_id is None:
        return None
    return Revocation(kind=Revoked(word), id=ended_id)

"""Tokens on the wire; a secret is told in the answer that made it, and never again.

Tests: tests/integration/cloud/rest/test_tokens.py.
"""

from uuid import UUID

from pydantic import Field

from cloud.access import services
from cloud.access.models import TokenKind
from cloud.access.selectors import TokenState
from cloud.rest import queries
from local_daemon.protocol import limits, messages, wire
from local_daemon.protocol.scopes import Scope


class TokenQuery(messages.PageQuery):
    """Tokens, oldest first: of one kind, state or member, or whose name or prefix holds `search`."""

    kind: TokenKind | None = None
    state: TokenState | None = None
    membership_id: UUID | None = None
    search: queries.Search = ""


class TokenMint(wire.WireModel):
    """A token that can do at most what its maker can, and what its kind may. `project_ids` null: wherever its maker
    reaches."""

    name: wire.Line
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=len(Scope))
    kind: TokenKind = TokenKind.PERSONAL
    project_ids: tuple[UUID, ...] | None = Field(default=None, min_length=1, max_length=limits.LIST_ITEMS)
    expires_at: wire.Instant | None = None


class TokenRotate(wire.WireModel):
    """How long the old token goes on beside the new one."""

    overlap_s: wire.Integer = Field(default=0, ge=0, le=int(services.OVERLAP_MAX.total_seconds()))


class TokenView(wire.ViewModel):
    """A token, without its secret. `project_ids` null: wherever its holder reaches."""

    token_id: UUID
    kind: TokenKind
    name: str
    prefix: str
    state: TokenState
    scopes: tuple[str, ...]
    project_ids: tuple[UUID, ...] | None
    membership_id: UUID | None
    maker_id: UUID | None
    created_at: wire.Instant
    expires_at: wire.Instant | None
    revoked_at: wire.Instant | None
    last_used_at: wire.Instant | None


class TokenTold(TokenView):
    """A new token with its secret, told this once."""

    secret: str


class TokenPage(wire.ViewModel):
    """Tokens within reach."""

    items: tuple[TokenView, ...]
    next_cursor: str | None

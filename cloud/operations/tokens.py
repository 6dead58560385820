"""Tokens, for who asks the cloud. A secret is told once, in the answer that made it.

Tests: tests/integration/cloud/operations/test_table.py.
"""

from uuid import UUID

from pydantic import Field

from cloud.access import selectors, services
from cloud.access.models import Token
from cloud.access.principals import Grant
from cloud.operations.operation import CloudOperation
from local_daemon.protocol import limits, messages, wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope


class TokenMint(wire.WireModel):
    """Asks for a token that can do at most what the asker can."""

    name: wire.Line
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=limits.LIST_ITEMS)
    project_ids: tuple[UUID, ...] | None = Field(default=None, max_length=limits.LIST_ITEMS)
    expires_at: wire.Instant | None = None


class TokenRevoke(wire.WireModel):
    """Ends a token."""

    token_id: UUID


class TokenView(wire.ViewModel):
    """A token; its secret is told only in the answer that made it."""

    token_id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    project_ids: tuple[str, ...] | None
    expires_at: wire.Instant | None
    revoked_at: wire.Instant | None
    last_used_at: wire.Instant | None
    secret: str | None = None


class TokenPage(wire.ViewModel):
    """The organization's tokens."""

    items: tuple[TokenView, ...]


def tokens_list(grant: Grant, _asked: messages.Empty) -> TokenPage:
    """Tokens without secrets."""
    return TokenPage(items=tuple(_view(row) for row in selectors.token_list(grant=grant)))


def tokens_mint(grant: Grant, asked: TokenMint) -> TokenView:
    """The new token with its secret."""
    row, secret = services.token_mint(
        grant=grant,
        name=asked.name,
        scopes=asked.scopes,
        project_ids=asked.project_ids,
        expires_at=asked.expires_at,
    )
    return _view(row, secret=secret)


def tokens_revoke(grant: Grant, asked: TokenRevoke) -> TokenView:
    """The token, ended."""
    return _view(services.token_revoke(grant=grant, token_id=asked.token_id))


def _view(row: Token, *, secret: str | None = None) -> TokenView:
    return TokenView(
        token_id=str(row.id),
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes),
        project_ids=None if row.project_ids is None else tuple(map(str, row.project_ids)),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        secret=secret,
    )


OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="tokens.list",
            title="Tokens",
            description="The organization's tokens, without their secrets.",
            method="GET",
            path="/tokens",
            scope=Scope.TOKENS_READ,
            response=TokenPage,
        ),
        answer=tokens_list,
    ),
    CloudOperation(
        operation=Operation(
            name="tokens.mint",
            title="Mint a token",
            description="A new token that can do at most what you can; its secret is told this once.",
            method="POST",
            path="/tokens",
            scope=Scope.TOKENS_WRITE,
            request=TokenMint,
            response=TokenView,
            mutates=True,
            success_status=201,
        ),
        answer=tokens_mint,
    ),
    CloudOperation(
        operation=Operation(
            name="tokens.revoke",
            title="Revoke a token",
            description="End a token for good.",
            method="POST",
            path="/tokens/revoke",
            scope=Scope.TOKENS_WRITE,
            request=TokenRevoke,
            response=TokenView,
            mutates=True,
            is_destructive=True,
        ),
        answer=tokens_revoke,
        is_repeatable=True,
    ),
)

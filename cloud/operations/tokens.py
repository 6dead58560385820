"""Tokens, for who asks the cloud: which there are. Minting and ending them is a person's act (`cloud.mcp.tools`).

Tests: tests/integration/cloud/operations/test_table.py.
"""

from cloud.access import selectors
from cloud.access.models import Token
from cloud.access.principals import Grant
from cloud.operations.operation import CloudOperation
from local_daemon.protocol import messages, wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope


class TokenView(wire.ViewModel):
    """A token, without its secret."""

    token_id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    project_ids: tuple[str, ...] | None
    expires_at: wire.Instant | None
    revoked_at: wire.Instant | None
    last_used_at: wire.Instant | None


class TokenPage(wire.ViewModel):
    """The organization's tokens."""

    items: tuple[TokenView, ...]


def tokens_list(grant: Grant, _asked: messages.Empty) -> TokenPage:
    """Tokens without secrets."""
    return TokenPage(items=tuple(_view(row) for row in selectors.token_list(grant=grant)))


def _view(row: Token) -> TokenView:
    return TokenView(
        token_id=str(row.id),
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes),
        project_ids=None if row.project_ids is None else tuple(map(str, row.project_ids)),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
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
)

"""Tokens: minting, rotating, adopting, revoking. Tests: tests/integration/cloud/rest/test_tokens.py."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.access import selectors, services
from cloud.access.models import Token, TokenKind
from cloud.rest.collection import Collection
from cloud.rest.endpoints import Asked, IfMatch, endpoint
from cloud.rest.tokens.messages import TokenMint, TokenPage, TokenQuery, TokenRotate, TokenTold, TokenView


@endpoint(
    "POST",
    "/tokens",
    name="tokens.mint",
    title="Mint a token",
    service=services.token_mint,
    request=TokenMint,
    response=TokenTold,
    status=201,
)
def tokens_mint(asked: Asked, body: TokenMint) -> TokenTold:
    """A new token that can do at most what the caller can; its secret is told this once."""
    row, secret = services.token_mint(
        grant=asked.grant(),
        name=body.name,
        scopes=body.scopes,
        kind=body.kind,
        project_ids=body.project_ids,
        expires_at=body.expires_at,
    )
    return TokenTold(secret=secret, **_facts(row))


@endpoint(
    "POST",
    "/tokens/{token_id}/rotate",
    name="tokens.rotate",
    title="Rotate a token",
    service=services.token_rotate,
    request=TokenRotate,
    response=TokenTold,
    status=201,
)
def tokens_rotate(asked: Asked, token_id: UUID, body: TokenRotate) -> TokenTold:
    """A token that takes this one's place; this one goes on for the overlap, then ends."""
    row, secret = services.token_rotate(
        grant=asked.grant(), token_id=token_id, overlap=timedelta(seconds=body.overlap_s)
    )
    return TokenTold(secret=secret, **_facts(row))


def _facts(row: Token) -> dict[str, Any]:
    return {
        "token_id": row.id,
        "kind": TokenKind(row.kind),
        "name": row.name,
        "prefix": row.prefix,
        "state": selectors.token_state(row, now=datetime.now(UTC)),
        "scopes": tuple(row.scopes),
        "project_ids": None if row.project_ids is None else tuple(row.project_ids),
        "membership_id": row.membership_id,
        "maker_id": row.maker_id,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "last_used_at": row.last_used_at,
    }


def _view(row: Token) -> TokenView:
    return TokenView(**_facts(row))


_all = Collection(name="tokens", path="/tokens", id_name="token_id", view=_view, response=TokenView)

ENDPOINTS = (
    _all.list(
        "Tokens",
        "One's own tokens, or everyone's for who administers the organization's members; oldest first.",
        selectors.token_page,
        query=TokenQuery,
        page=TokenPage,
    ),
    tokens_mint,
    _all.get("A token", "One token, without its secret.", selectors.token_get),
    tokens_rotate,
    _all.act(
        "adopt",
        "Adopt a service's token",
        "Become the holder of a service's token, so that it goes on when its holder leaves.",
        services.token_adopt,
        if_match=IfMatch.IGNORED,
    ),
    _all.act(
        "revoke",
        "Revoke a token",
        "End a token for good, and all that it minted; ending it again changes nothing.",
        services.token_revoke,
        if_match=IfMatch.IGNORED,
    ),
)

"""Tokens: minting, rotating, adopting, revoking. Tests: tests/integration/cloud/rest/test_tokens.py."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cloud.access import selectors, services
from cloud.access.models import Token, TokenKind
from cloud.rest import pages
from cloud.rest.endpoints import Asked, endpoint
from cloud.rest.tokens.messages import TokenMint, TokenPage, TokenQuery, TokenRotate, TokenTold, TokenView

_ONE = "/tokens/{token_id}"


@endpoint(
    "GET",
    "/tokens",
    name="tokens.list",
    title="Tokens",
    service=selectors.token_page,
    query=TokenQuery,
    response=TokenPage,
)
def tokens_list(asked: Asked, query: TokenQuery) -> TokenPage:
    """One's own tokens, or everyone's for who administers the organization's members; oldest first."""
    page = selectors.token_page(
        grant=asked.grant(),
        kind=query.kind,
        state=query.state,
        membership_id=query.membership_id,
        search=query.search,
        limit=query.limit,
        after=pages.after_row(query.cursor),
    )
    return TokenPage(**pages.page_told(page, _view))


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


@endpoint("GET", _ONE, name="tokens.get", title="A token", service=selectors.token_get, response=TokenView)
def tokens_get(asked: Asked, token_id: UUID) -> TokenView:
    """One token, without its secret."""
    return _view(selectors.token_get(grant=asked.grant(), token_id=token_id))


@endpoint(
    "POST",
    f"{_ONE}/rotate",
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


@endpoint(
    "POST",
    f"{_ONE}/adopt",
    name="tokens.adopt",
    title="Adopt a service's token",
    service=services.token_adopt,
    response=TokenView,
)
def tokens_adopt(asked: Asked, token_id: UUID) -> TokenView:
    """Become the holder of a service's token, so that it goes on when its holder leaves."""
    return _view(services.token_adopt(grant=asked.grant(), token_id=token_id))


@endpoint(
    "POST",
    f"{_ONE}/revoke",
    name="tokens.revoke",
    title="Revoke a token",
    service=services.token_revoke,
    response=TokenView,
)
def tokens_revoke(asked: Asked, token_id: UUID) -> TokenView:
    """End a token for good, and all that it minted; ending it again changes nothing."""
    return _view(services.token_revoke(grant=asked.grant(), token_id=token_id))


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


ENDPOINTS = (tokens_list, tokens_mint, tokens_get, tokens_rotate, tokens_adopt, tokens_revoke)

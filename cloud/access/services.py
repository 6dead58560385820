"""Minting and revoking tokens.

A token can do at most what its maker can: scopes and projects are clamped when it is minted, and again at every use.
Callers open the organization's scope. Tests: tests/integration/cloud/access/test_services.py.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from cloud.access import credentials, selectors
from cloud.access.models import Token
from cloud.access.principals import Grant, Principal
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.tenancy.models import Project
from cloud.tenancy.transaction import recorded
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope


def token_mint(
    *,
    grant: Grant,
    name: str,
    scopes: Iterable[Scope],
    project_ids: Iterable[UUID] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """A new token of the granted principal, and its secret, which is shown this once.

    Raises Forbidden for a scope that the maker lacks, NotFound for a project out of the maker's reach, InvalidRequest
    for an empty name or a moment that has passed."""
    maker = grant.principal
    wanted = frozenset(scopes)
    beyond = wanted - maker.scopes
    if beyond:
        raise errors.Forbidden("A token cannot do more than its maker.", scopes=sorted(beyond))
    if not name.strip() or len(name) > limits.TITLE_CHARACTERS:
        raise errors.InvalidRequest(f"A token needs a name of at most {limits.TITLE_CHARACTERS} characters.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise errors.InvalidRequest("A token cannot expire in the past.")
    reach = _reach(maker, project_ids)
    secret = credentials.token_new()
    with recorded("token_mint"):
        token = Token.objects.create(
            organization_id=grant.organization_id,
            membership_id=maker.membership_id,
            name=name.strip(),
            prefix=secret[: credentials.PREFIX_CHARACTERS],
            digest=credentials.digest(secret),
            scopes=sorted(wanted),
            project_ids=reach,
            expires_at=expires_at,
        )
        audit.event_record(
            event_type=EventType.TOKEN_MINTED,
            principal=maker,
            target_kind="token",
            target_id=token.id,
            details={"name": token.name, "scopes": token.scopes},
        )
    return token, secret


def token_revoke(*, grant: Grant, token_id: UUID) -> Token:
    """End a token for good; revoking it again changes nothing. Raises NotFound for one out of reach."""
    with recorded("token_revoke"):
        token = selectors.tokens_within_reach(grant).select_for_update().filter(id=token_id).first()
        if token is None:
            raise errors.NotFound
        if token.revoked_at is None:
            token.revoked_at = datetime.now(UTC)
            token.save(update_fields=["revoked_at"])
            audit.event_record(
                event_type=EventType.TOKEN_REVOKED,
                principal=grant.principal,
                target_kind="token",
                target_id=token.id,
                details={"name": token.name},
            )
    return token


def _reach(maker: Principal, project_ids: Iterable[UUID] | None) -> list[UUID] | None:
    if project_ids is None:
        return sorted(maker.project_ids) if maker.project_ids is not None else None
    wanted = set(project_ids)
    if maker.project_ids is not None and not wanted <= maker.project_ids:
        raise errors.NotFound
    known = Project.objects.filter(organization_id=maker.organization_id, id__in=wanted).count()
    if known != len(wanted):
        raise errors.NotFound
    return sorted(wanted)

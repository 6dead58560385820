"""Minting, rotating, adopting and revoking tokens.

A token can do at most what its maker can: scopes and projects are clamped when it is minted, and to its holder's again
at every use. A token made by a token ends with it, and not later, and what it uses counts against its maker's limits.
Callers open the organization's scope. Tests: tests/integration/cloud/access/test_services.py, test_rotation.py.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cloud.access import credentials, lines, selectors
from cloud.access.models import Token, TokenKind
from cloud.access.principals import Grant, Principal, PrincipalKind
from cloud.audit import services as audit
from cloud.audit.event_types import EventType
from cloud.permissions import matrix
from cloud.tenancy import grants, revocations
from cloud.tenancy.models import Project
from cloud.tenancy.transaction import execute_later, recorded
from local_daemon.protocol import errors, limits
from local_daemon.protocol.scopes import Scope

OVERLAP_MAX = timedelta(days=7)
"""How long a rotated token may go on beside the one that takes its place."""
LINE_MAX = 8
"""How many tokens may stand in one line of makers: each call counts against all of them."""


@grants.needs(Scope.TOKENS_WRITE)
def token_mint(
    *,
    grant: Grant,
    name: str,
    scopes: Iterable[Scope],
    kind: TokenKind = TokenKind.PERSONAL,
    project_ids: Iterable[UUID] | None = None,
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """A new token of the granted principal, and its secret, which is shown this once.

    Raises Forbidden for a scope that the maker (or its kind) lacks and for a line of makers longer than LINE_MAX,
    NotFound for a project out of the maker's reach, InvalidRequest for an empty name or a moment that has passed."""
    maker = grant.principal
    wanted = frozenset(scopes)
    _check_scopes(wanted, maker, kind)
    if not name.strip() or len(name) > limits.TITLE_CHARACTERS:
        raise errors.InvalidRequest(f"A token needs a name of at most {limits.TITLE_CHARACTERS} characters.")
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise errors.InvalidRequest("A token cannot expire in the past.")
    reach = _reach(maker, project_ids)
    with recorded("token_mint"):
        _one_by_one(grant)
        token, secret = _create(
            organization_id=grant.organization_id,
            membership_id=maker.membership_id,
            maker_id=_maker_id(maker),
            kind=kind,
            name=name.strip(),
            scopes=sorted(wanted),
            project_ids=reach,
            expires_at=_earlier(expires_at, maker.expires_at),
        )
        _tell(token, EventType.TOKEN_MINTED, maker, {"kind": token.kind, "scopes": token.scopes})
    return token, secret


@grants.needs(Scope.TOKENS_WRITE)
def token_rotate(*, grant: Grant, token_id: UUID, overlap: timedelta = timedelta(0)) -> tuple[Token, str]:
    """A token that takes another one's place, and its secret; the old one goes on for `overlap`, then ends, and what it
    minted with it.

    One's own, or a service's, which the one who rotates it thereby adopts. It lives as long as the old one was made
    for. Raises NotFound, Forbidden for a token that can more than who rotates it, or that minted who rotates it,
    InvalidTransition for one that has ended, InvalidRequest."""
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise errors.InvalidRequest(f"Two tokens overlap for at most {OVERLAP_MAX.days} days.")
    rotator, now = grant.principal, datetime.now(UTC)
    with recorded("token_change"):
        _one_by_one(grant)
        old = _locked(grant, token_id)
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise errors.InvalidTransition("This token has ended; mint another one.")
        _check_rotation(old, rotator)
        made = _made_by(old)
        if rotator.id in {row.id for row in made}:
            raise errors.Forbidden("A token does not take the place of the one that it ends with.")
        is_itself = rotator.kind == PrincipalKind.TOKEN and rotator.id == old.id
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        token, secret = _create(
            organization_id=grant.organization_id,
            membership_id=rotator.membership_id or old.membership_id,
            maker_id=old.maker_id if is_itself else _maker_id(rotator),
            kind=old.kind,
            name=old.name,
            scopes=old.scopes,
            project_ids=old.project_ids,
            expires_at=_earlier(None if lifetime is None else now + lifetime, rotator.expires_at),
            counted_as=old.counted_as or old.id,
        )
        if overlap:
            _bound([old, *made], ends_at=now + overlap, rotator=rotator)
        else:
            _end([old, *made], at=now)
            for row in made:
                _tell(row, EventType.TOKEN_REVOKED, rotator, {"with": str(old.id)})
        _tell(token, EventType.TOKEN_ROTATED, rotator, {"replaces": str(old.id), "overlap_s": overlap.total_seconds()})
    return token, secret


@grants.needs(Scope.TOKENS_WRITE)
def token_adopt(*, grant: Grant, token_id: UUID) -> Token:
    """Become the holder of a service's token, so that it goes on when its holder leaves; it can do no more than its new
    holder can. Raises NotFound, InvalidTransition for another kind, Forbidden for who is no member."""
    adopter = grant.principal
    if adopter.membership_id is None:
        raise errors.Forbidden("Only a member holds a token.")
    with recorded("token_change"):
        _one_by_one(grant)
        token = _locked(grant, token_id)
        if token.kind != TokenKind.SERVICE:
            raise errors.InvalidTransition("Only a service's token changes hands.")
        # A person takes it out of its maker's line; a token does not, or it would free its own of its own limits.
        maker_id = token.maker_id if adopter.kind == PrincipalKind.TOKEN else None
        if (token.membership_id, token.maker_id) != (adopter.membership_id, maker_id):
            before = token.membership_id
            token.membership_id, token.maker_id, token.held_since = adopter.membership_id, maker_id, datetime.now(UTC)
            token.save(update_fields=["membership", "maker", "held_since"])
            _tell(token, EventType.TOKEN_ADOPTED, adopter, {"from": str(before) if before else None})
            revocations.revocation_tell(revocations.Revoked.TOKEN, token.id)
    return token


@grants.needs(Scope.TOKENS_WRITE)
def token_revoke(*, grant: Grant, token_id: UUID) -> Token:
    """End a token for good, and all that it minted; revoking it again changes nothing. Raises NotFound for one out of
    reach."""
    with recorded("token_revoke"):
        _one_by_one(grant)
        token = _locked(grant, token_id)
        if token.revoked_at is None:
            ended = [token, *_made_by(token)]
            _end(ended, at=datetime.now(UTC))
            for row in ended:
                _tell(row, EventType.TOKEN_REVOKED, grant.principal, {})
    return token


def _create(
    *,
    organization_id: UUID,
    membership_id: UUID | None,
    maker_id: UUID | None,
    kind: str,
    name: str,
    scopes: list[str],
    project_ids: list[UUID] | None,
    expires_at: datetime | None,
    counted_as: UUID | None = None,
) -> tuple[Token, str]:
    if maker_id is not None:
        # As it is now, not as it was authenticated: meanwhile it may have been ended, or given an end.
        maker = Token.objects.filter(id=maker_id, revoked_at=None).first()
        if maker is None:
            raise errors.Unauthenticated
        if lines.line_length(maker_id) >= LINE_MAX:
            raise errors.Forbidden(f"Tokens that mint tokens stand at most {LINE_MAX} in a line.")
        expires_at = _earlier(expires_at, maker.expires_at)
    secret = credentials.token_new()
    token = Token.objects.create(
        organization_id=organization_id,
        membership_id=membership_id,
        maker_id=maker_id,
        kind=kind,
        name=name,
        prefix=secret[: credentials.PREFIX_CHARACTERS],
        digest=credentials.digest(secret),
        scopes=scopes,
        project_ids=project_ids,
        expires_at=expires_at,
        counted_as=counted_as,
    )
    return token, secret


def _one_by_one(grant: Grant) -> None:
    """Until the open transaction ends nobody else changes the organization's tokens: who ends a line of makers locks it
    from above, who rotates in it from below, and neither sees what the other mints."""
    execute_later("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"ropeway-tokens:{grant.organization_id}"])


def _locked(grant: Grant, token_id: UUID) -> Token:
    token = selectors.tokens_within_reach(grant).select_for_update().filter(id=token_id).first()
    if token is None:
        raise errors.NotFound
    return token


def _made_by(token: Token) -> list[Token]:
    """What a token minted, what that minted, and so on, as far as it has not ended."""
    found: list[Token] = []
    makers = [token.id]
    while makers:
        made = list(Token.objects.select_for_update().filter(maker_id__in=makers, revoked_at=None))
        found += made
        makers = [row.id for row in made]
    return found


def _end(tokens: list[Token], *, at: datetime) -> None:
    Token.objects.filter(id__in=[row.id for row in tokens]).update(revoked_at=at)
    for row in tokens:
        row.revoked_at = at
        revocations.revocation_tell(revocations.Revoked.TOKEN, row.id)


def _bound(tokens: list[Token], *, ends_at: datetime, rotator: Principal) -> None:
    for row in tokens:
        if row.expires_at is None or row.expires_at > ends_at:
            row.expires_at = ends_at
            row.save(update_fields=["expires_at"])
            if row is not tokens[0]:
                # Of the first one it is told that it was rotated.
                facts: dict[str, object] = {"with": str(tokens[0].id), "ends_at": ends_at.isoformat()}
                _tell(row, EventType.TOKEN_SHORTENED, rotator, facts)
            revocations.revocation_tell(revocations.Revoked.TOKEN, row.id)


def _check_scopes(wanted: frozenset[Scope], maker: Principal, kind: str) -> None:
    beyond = wanted - maker.scopes
    if beyond:
        raise errors.Forbidden("A token cannot do more than its maker.", scopes=sorted(beyond))
    if kind == TokenKind.PLANNER and not wanted <= matrix.PLANNER_SCOPES:
        raise errors.Forbidden("A planner administers nothing.", scopes=sorted(wanted - matrix.PLANNER_SCOPES))


def _check_rotation(old: Token, rotator: Principal) -> None:
    """Whoever rotates a token learns its secret: it must give them nothing that they lack."""
    is_own = rotator.membership_id is not None and old.membership_id == rotator.membership_id
    if not is_own and old.kind != TokenKind.SERVICE and rotator.kind != PrincipalKind.SYSTEM:
        raise errors.Forbidden("Another person's token is theirs to rotate; revoke it instead.")
    if rotator.kind == PrincipalKind.TOKEN:
        _check_scopes(frozenset(Scope(word) for word in old.scopes), rotator, old.kind)
        reach = rotator.project_ids if rotator.workspace_id is None else None
        if reach is not None and (old.project_ids is None or not reach.issuperset(old.project_ids)):
            raise errors.Forbidden("This token reaches further than the one that would rotate it.")


def _reach(maker: Principal, project_ids: Iterable[UUID] | None) -> list[UUID] | None:
    if project_ids is None:
        # A person's token follows their membership, to which it is clamped at use; a token's says its reach itself.
        if maker.kind == PrincipalKind.TOKEN and maker.workspace_id is None and maker.project_ids is not None:
            return sorted(maker.project_ids)
        return None
    wanted = set(project_ids)
    if maker.project_ids is not None and not wanted <= maker.project_ids:
        raise errors.NotFound
    known = Project.objects.filter(organization_id=maker.organization_id, id__in=wanted).count()
    if known != len(wanted):
        raise errors.NotFound
    return sorted(wanted)


def _maker_id(maker: Principal) -> UUID | None:
    return maker.id if maker.kind == PrincipalKind.TOKEN and isinstance(maker.id, UUID) else None


def _earlier(*ends: datetime | None) -> datetime | None:
    """The first of some ends; None: no end."""
    return min((end for end in ends if end is not None), default=None)


def _tell(token: Token, event_type: EventType, actor: Principal, details: dict[str, object]) -> None:
    audit.event_record(
        event_type=event_type,
        principal=actor,
        target_kind="token",
        target_id=token.id,
        details={"name": token.name, **details},
    )

"""What answers each cloud operation: calls into the rooms below, and their rows as views.

Each takes the grant that `table.perform` obtained and the parsed request, in the tenant's open scope; none decides
who may. Tests: tests/integration/cloud/operations/.
"""

from datetime import timedelta
from uuid import UUID

from cloud.access import selectors as access
from cloud.access import services as tokens
from cloud.access.models import Token
from cloud.access.principals import Grant
from cloud.audit import selectors as audit
from cloud.connectors import enrollment
from cloud.connectors import selectors as connectors
from cloud.connectors.models import Connector
from cloud.operations import messages
from local_daemon.protocol import errors
from local_daemon.protocol import messages as wire_messages


def projects_list(grant: Grant, _asked: wire_messages.Empty) -> messages.ProjectPage:
    """Projects and where they are."""
    return messages.ProjectPage(
        items=tuple(
            messages.ProjectView(
                project_id=str(project.id),
                name=project.name,
                slug=project.slug,
                workspace=project.workspace.name,
                locations=tuple(messages.LocationView.model_validate(connectors.location_facts(row)) for row in shared),
            )
            for project, shared in connectors.project_list(grant=grant)
        )
    )


def connectors_list(grant: Grant, _asked: wire_messages.Empty) -> messages.ConnectorPage:
    """Machines."""
    return messages.ConnectorPage(items=tuple(_connector_view(row) for row in connectors.connector_list(grant=grant)))


def connectors_claim(grant: Grant, asked: messages.ConnectorClaim) -> messages.ConnectorView:
    """The machine that was waiting."""
    return _connector_view(enrollment.connector_claim(grant=grant, claim_code=asked.claim_code))


def _connector_view(row: Connector) -> messages.ConnectorView:
    return messages.ConnectorView(
        connector_id=str(row.id),
        label=row.label,
        status=row.status,
        is_online=bool(row.link_owner),
        last_seen_at=row.last_seen_at,
        project_ids=tuple(str(claim.project_id) for claim in row.claims.all() if claim.project_id),
        instances=tuple(instance.instance_id for instance in row.instances.all()),
    )


def enrollment_codes_create(grant: Grant, asked: messages.EnrollmentCodeCreate) -> messages.EnrollmentCodeView:
    """A code, told this once."""
    row, code = enrollment.enrollment_code_create(
        grant=grant, ttl=timedelta(minutes=asked.minutes), label=asked.label or ""
    )
    return messages.EnrollmentCodeView(code=code, expires_at=row.expires_at)


def tokens_list(grant: Grant, _asked: wire_messages.Empty) -> messages.TokenPage:
    """Tokens without secrets."""
    return messages.TokenPage(items=tuple(_token_view(row) for row in access.token_list(grant=grant)))


def tokens_mint(grant: Grant, asked: messages.TokenMint) -> messages.TokenView:
    """The new token with its secret."""
    row, secret = tokens.token_mint(
        grant=grant,
        name=asked.name,
        scopes=asked.scopes,
        project_ids=asked.project_ids,
        expires_at=asked.expires_at,
    )
    return _token_view(row, secret=secret)


def tokens_revoke(grant: Grant, asked: messages.TokenRevoke) -> messages.TokenView:
    """The token, ended."""
    return _token_view(tokens.token_revoke(grant=grant, token_id=asked.token_id))


def _token_view(row: Token, *, secret: str | None = None) -> messages.TokenView:
    return messages.TokenView(
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


def audit_events(grant: Grant, asked: messages.AuditQuery) -> messages.AuditPage:
    """A page of the audit; of the principal's projects only, where it is bound to some."""
    try:
        before = UUID(asked.cursor) if asked.cursor else None
    except ValueError as error:
        raise errors.InvalidRequest("The cursor comes from the page before.") from error
    reach = grant.principal.project_ids
    rows = audit.event_page(
        grant.organization_id, limit=asked.limit, before=before, project_ids=reach, event_type=asked.event_type
    )
    items = tuple(
        messages.AuditEventView(
            event_id=str(row.id),
            at=row.at,
            event_type=row.event_type,
            actor_kind=row.actor_kind,
            actor=row.actor_label,
            target_kind=row.target_kind,
            target_id=row.target_id,
            project_id=str(row.project_id) if row.project_id else None,
            call_id=row.call_id or None,
            outcome=row.outcome,
            duration_ms=row.duration_ms,
            details=row.details,
        )
        for row in rows
    )
    return messages.AuditPage(items=items, next_cursor=str(rows[-1].id) if len(rows) == asked.limit else None)


def audit_rollup(grant: Grant, asked: messages.RollupQuery) -> messages.RollupPage:
    """A page of counts."""
    if grant.principal.project_ids is not None:
        raise errors.Forbidden("Counts are of the whole organization; this credential reaches only some projects.")
    rows, counted_at = audit.rollup_page(grant.organization_id, period=asked.period, limit=asked.limit)
    items = tuple(
        messages.RollupView(
            bucket_start=row.bucket_start, event_type=row.event_type, outcome=row.outcome, count=row.count
        )
        for row in rows
    )
    return messages.RollupPage(items=items, counted_at=counted_at)

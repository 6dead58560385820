"""The audit, for who asks the cloud: its events, its counts, and whether its chain holds.

An event and the counts are told in the same words over HTTP (`cloud.rest.audit`). Tests:
tests/integration/cloud/operations/test_audit.py.
"""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints

from cloud.access.principals import Grant
from cloud.audit import selectors, verify
from cloud.audit.models import AuditEvent, Outcome, RollupPeriod
from cloud.audit.selectors import EventFilter
from cloud.operations import paging
from cloud.operations.operation import CloudOperation
from cloud.tenancy import clocks, grants
from local_daemon.protocol import errors, limits, messages, wire
from local_daemon.protocol.operation import Operation
from local_daemon.protocol.scopes import Scope

VERIFIED_LINKS_MAX = 100_000
"""The longest chain that is walked while somebody waits for the answer."""

Named = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]


class AuditQuery(messages.PageQuery):
    """Audit events, newest first; only those that fit all that is named. Times: from `since` to before `until`."""

    event_type: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,31}:[a-z_]{1,31}$")] | None = None
    project_id: UUID | None = None
    actor_id: Named | None = Field(default=None, description="who did it: a token's, user's or connector's id")
    target_id: Named | None = Field(default=None, description="what it was done to")
    call_id: Named | None = Field(default=None, description="everything told of one call")
    failed_only: wire.Flag = False
    since: wire.Instant | None = None
    until: wire.Instant | None = None


class AuditEventView(wire.ViewModel):
    """One thing that happened."""

    event_id: UUID
    at: wire.Instant
    event_type: str
    actor_kind: str
    actor_id: str
    actor: str
    target_kind: str
    target_id: str
    project_id: UUID | None
    call_id: str | None
    outcome: Outcome
    duration_ms: float | None
    client_address: str | None
    details: dict[str, Any]


class AuditPage(wire.ViewModel):
    """Audit events, newest first."""

    items: tuple[AuditEventView, ...]
    next_cursor: str | None = None


class CountQuery(wire.WireModel):
    """How often what happened, by hour or by day (by the organization's clocks), newest first."""

    period: RollupPeriod = RollupPeriod.HOUR
    limit: wire.QueryInteger = Field(default=limits.PAGE_ITEMS_DEFAULT, ge=1, le=limits.PAGE_ITEMS_MAX)


class AuditCount(wire.ViewModel):
    """How often something happened in one hour or day."""

    bucket_start: wire.Instant
    event_type: str
    outcome: Outcome
    count: int


class AuditCounts(wire.ViewModel):
    """Counts, and when they were last brought up to date."""

    items: tuple[AuditCount, ...]
    counted_at: wire.Instant | None


class CheckpointView(wire.ViewModel):
    """A signed head of the chain."""

    seq: int
    hash: str
    signed_at: wire.Instant


class ChainView(wire.ViewModel):
    """How far the chain goes. Nothing is walked: `audit.verify` does that. `is_late`: sealing has fallen behind."""

    head_seq: int
    head_hash: str | None
    sealed_at: wire.Instant | None
    unsealed: int
    oldest_unsealed_at: wire.Instant | None
    is_late: bool
    checkpoint: CheckpointView | None


class VerificationView(wire.ViewModel):
    """What walking the whole chain found. `first_bad` says where it breaks, or that sealing is late."""

    ok: bool
    first_bad: str | None
    sealed: int
    pruned: int
    unsealed: int
    checkpoints: int
    head_seq: int
    head_hash: str


def audit_events(grant: Grant, asked: AuditQuery) -> AuditPage:
    """A page of the audit; of the principal's projects only, where it is bound to some."""
    rows = selectors.event_page(
        grant.organization_id,
        limit=asked.limit,
        before=paging.uuid_of(asked.cursor),
        asked=EventFilter(
            event_type=asked.event_type,
            actor_id=asked.actor_id,
            target_id=asked.target_id,
            call_id=asked.call_id,
            project_ids=grant.principal.project_ids if asked.project_id is None else [asked.project_id],
            failed_only=asked.failed_only,
            since=asked.since,
            until=asked.until,
        ),
    )
    last = paging.last_of(rows, asked.limit)
    return AuditPage(
        items=tuple(map(event_view, rows)),
        next_cursor=str(last.id) if last else None,
    )


def event_view(row: AuditEvent) -> AuditEventView:
    """An event as every surface tells it."""
    return AuditEventView(
        event_id=row.id,
        at=row.at,
        event_type=row.event_type,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor=row.actor_label,
        target_kind=row.target_kind,
        target_id=row.target_id,
        project_id=row.project_id,
        call_id=row.call_id or None,
        outcome=Outcome(row.outcome),
        duration_ms=row.duration_ms,
        client_address=row.client_address,
        details=row.details,
    )


def audit_counts(grant: Grant, asked: CountQuery) -> AuditCounts:
    """How often what happened in the whole organization, as the worker last counted."""
    grants.whole_organization(grant)
    rows, counted_at = selectors.rollup_page(
        grant.organization_id,
        period=asked.period,
        limit=asked.limit,
        time_zone=clocks.zone_of(grant.organization_id),
    )
    items = tuple(
        AuditCount(
            bucket_start=row.bucket_start, event_type=row.event_type, outcome=Outcome(row.outcome), count=row.count
        )
        for row in rows
    )
    return AuditCounts(items=items, counted_at=counted_at)


def audit_chain(grant: Grant, _asked: messages.Empty) -> ChainView:
    """How far the organization's chain goes."""
    grants.whole_organization(grant)
    state = selectors.chain_state(grant.organization_id)
    checkpoint = selectors.checkpoint_last(grant.organization_id)
    return ChainView(
        head_seq=state.head_seq,
        head_hash=state.head_hash,
        sealed_at=state.sealed_at,
        unsealed=state.unsealed,
        oldest_unsealed_at=state.oldest_unsealed_at,
        is_late=state.oldest_unsealed_at is not None
        and datetime.now(UTC) - state.oldest_unsealed_at > verify.UNSEALED_AGE,
        checkpoint=None
        if checkpoint is None
        else CheckpointView(seq=checkpoint.seq, hash=bytes(checkpoint.hash).hex(), signed_at=checkpoint.signed_at),
    )


def audit_verify(grant: Grant, _asked: messages.Empty) -> VerificationView:
    """What walking the chain finds. Raises PayloadTooLarge for one too long to wait for."""
    grants.whole_organization(grant)
    if selectors.chain_state(grant.organization_id).links > VERIFIED_LINKS_MAX:
        raise errors.PayloadTooLarge(
            f"The chain has more than {VERIFIED_LINKS_MAX} links, which takes longer than a call may: verify it with "
            "cloudctl audit verify, or export it and run the stand-alone verifier.",
            limit=VERIFIED_LINKS_MAX,
        )
    report = verify.chain_verify(grant.organization_id)
    return VerificationView(
        ok=report.ok,
        first_bad=report.first_bad,
        sealed=report.sealed,
        pruned=report.pruned,
        unsealed=report.unsealed,
        checkpoints=report.checkpoints,
        head_seq=report.head_seq,
        head_hash=report.head_hash,
    )


OPERATIONS = (
    CloudOperation(
        operation=Operation(
            name="audit.events",
            title="Audit",
            description="Who asked what, and how it went; newest first, filtered by what is named.",
            method="GET",
            path="/audit",
            scope=Scope.AUDIT_READ,
            query=AuditQuery,
            response=AuditPage,
        ),
        answer=audit_events,
    ),
    CloudOperation(
        operation=Operation(
            name="audit.rollup",
            title="Audit counts",
            description="How often what happened, by hour or by day; counted by the worker from the sealed audit.",
            method="GET",
            path="/audit/rollup",
            scope=Scope.USAGE_READ,
            query=CountQuery,
            response=AuditCounts,
        ),
        answer=audit_counts,
    ),
    CloudOperation(
        operation=Operation(
            name="audit.chain",
            title="The audit's chain",
            description="How far the tamper-evident chain goes, its last signed head, and whether sealing keeps up.",
            method="GET",
            path="/audit/chain",
            scope=Scope.AUDIT_READ,
            response=ChainView,
        ),
        answer=audit_chain,
    ),
    CloudOperation(
        operation=Operation(
            name="audit.verify",
            title="Verify the audit",
            description="Walks the whole chain and checks every event, link and signature.",
            method="GET",
            path="/audit/verification",
            scope=Scope.AUDIT_READ,
            response=VerificationView,
        ),
        answer=audit_verify,
    ),
)

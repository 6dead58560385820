"""The vocabulary of the audit: `noun:action`, past tense, greppable for ever.

A word that was ever written is never renamed: it is in sealed rows. Tests: tests/unit/cloud/audit/.
"""

from enum import StrEnum


class EventType(StrEnum):
    """What happened."""

    ORGANIZATION_CREATED = "organization:created"  # a tenant came to be
    ORGANIZATION_UPDATED = "organization:updated"  # its name or slug
    ORGANIZATION_SUSPENDED = "organization:suspended"  # refused everywhere, and kept
    ORGANIZATION_RESUMED = "organization:resumed"  # in use again
    ORGANIZATION_DELETED = "organization:deleted"  # will be purged when its grace is over
    ORGANIZATION_PURGED = "organization:purged"  # nothing but its audit is left
    WORKSPACE_CREATED = "workspace:created"  # a part of it
    WORKSPACE_UPDATED = "workspace:updated"  # its name or slug
    WORKSPACE_SUSPENDED = "workspace:suspended"  # refused everywhere, and kept
    WORKSPACE_RESUMED = "workspace:resumed"  # in use again
    WORKSPACE_DELETED = "workspace:deleted"  # will be purged when its grace is over
    WORKSPACE_PURGED = "workspace:purged"  # gone, with its projects
    PROJECT_CREATED = "project:created"  # a place to work in
    PROJECT_UPDATED = "project:updated"  # its name or slug
    PROJECT_SUSPENDED = "project:suspended"  # refused everywhere, and kept
    PROJECT_RESUMED = "project:resumed"  # in use again
    PROJECT_DELETED = "project:deleted"  # will be purged when its grace is over
    PROJECT_PURGED = "project:purged"  # gone, with what was seen of its runs
    MEMBERSHIP_CREATED = "membership:created"  # a person got a role
    MEMBERSHIP_CHANGED = "membership:changed"  # another role, or another reach
    MEMBERSHIP_REMOVED = "membership:removed"  # a person is no member any more
    INVITATION_CREATED = "invitation:created"  # somebody may become a member by a link
    INVITATION_RESENT = "invitation:resent"  # by a new link; the old one is dead
    INVITATION_REVOKED = "invitation:revoked"  # by no link any more
    INVITATION_ACCEPTED = "invitation:accepted"  # and became one
    TOKEN_MINTED = "token:minted"  # noqa: S105 - a word, no secret; a credential was made
    TOKEN_REVOKED = "token:revoked"  # noqa: S105 - a word, no secret; a credential was ended
    TOKEN_ROTATED = "token:rotated"  # noqa: S105 - a word, no secret; another one takes its place
    TOKEN_SHORTENED = "token:shortened"  # noqa: S105 - a word, no secret; it goes on beside another one, and then ends
    TOKEN_REFUSED = "token:refused"  # noqa: S105 - a word, no secret; one that has ended was presented; once a minute
    TOKEN_ADOPTED = "token:adopted"  # noqa: S105 - a word, no secret; a service's token has a new holder
    ENROLLMENT_CODE_CREATED = "enrollment_code:created"  # a machine may enroll with it, once
    ENROLLMENT_CODE_REVOKED = "enrollment_code:revoked"  # no machine may any more
    CONNECTOR_ENROLLED = "connector:enrolled"  # a machine used a code
    CONNECTOR_CLAIMED = "connector:claimed"  # a machine that asked was accepted
    CONNECTOR_DISABLED = "connector:disabled"  # a machine was shut out
    CONNECTOR_ENABLED = "connector:enabled"  # and let in again
    CONNECTOR_UPDATED = "connector:updated"  # its label
    CONNECTOR_TRANSFERRED = "connector:transferred"  # a machine serves another part of its organization
    CONNECTOR_RELEASED = "connector:released"  # a machine belongs to the organization no more
    INSTANCE_MAPPED = "instance:mapped"  # where a daemon's new repositories go
    LOCATION_MAPPED = "location:mapped"  # which project a repository serves
    LINK_OPENED = "link:opened"  # a connector's websocket was authenticated
    LINK_CLOSED = "link:closed"  # and ended
    LINK_REFUSED = "link:refused"  # somebody dialled in its name who may not; told once a minute
    LOCATION_SHARED = "location:shared"  # an operator offers a repository
    LOCATION_UNSHARED = "location:unshared"  # and withdrew it
    LOG_PUT_BACK = "log:put_back"  # a machine's log lacks what was taken in of it: an older copy took its place
    CALL_ACCEPTED = "call:accepted"  # an operation for a machine is durable
    CALL_ANSWERED = "call:answered"  # its outcome is known
    CALL_DENIED = "call:denied"  # it was refused: no scope, or nothing there to see
    CALL_EXPIRED = "call:expired"  # its deadline passed before it was sent
    CALL_CANCELLED = "call:cancelled"  # it was withdrawn before it was sent
    CALL_UNRESOLVED = "call:unresolved"  # its deadline passed after it was sent
    LIMIT_CHANGED = "limit:changed"  # what an organization or a token may use
    LIMIT_REACHED = "limit:reached"  # calls are refused; told once a minute
    GATE_DECIDED = "gate:decided"  # a person or planner decided a gate
    AUDIT_PRUNED = "audit:pruned"  # old events went, and a signed statement took their place
    RETENTION_APPLIED = "retention:applied"  # what calls said, presence or the feed: what was old enough went
    PAGE_DENIED = "page:denied"  # a person asked for what they may not, or what is not there; told once a minute
    USER_CREATED = "user:created"  # a person may sign in
    USER_CHANGED = "user:changed"  # activated or not, an operator or not, their address or name
    USER_PASSWORD_CHANGED = "user:password_changed"  # noqa: S105 - a word, no secret; by themselves or an operator
    USER_SIGNED_IN = "user:signed_in"  # a person came to the admin
    AUDIT_EXPORTED = "audit:exported"  # somebody took a stretch of it along
    USER_SIGN_IN_FAILED = "user:sign_in_failed"  # somebody tried to, as a member of this organization
    USER_SIGN_IN_REFUSED = "user:sign_in_refused"  # too many tries failed; told once a quarter of an hour
    USER_SIGNED_OUT = "user:signed_out"  # and left
    USER_PASSWORD_LINK_MADE = "user:password_link_made"  # noqa: S105 - a word, no secret; for who forgot theirs
    USER_PASSWORD_LINK_USED = "user:password_link_used"  # noqa: S105 - a word, no secret; and who had made it
    RUN_SCHEDULE_CREATED = "run_schedule:created"  # work will begin by itself
    RUN_SCHEDULE_CHANGED = "run_schedule:changed"  # at another time, or other work
    RUN_SCHEDULE_PAUSED = "run_schedule:paused"  # not for now
    RUN_SCHEDULE_RESUMED = "run_schedule:resumed"  # but now again
    RUN_SCHEDULE_DELETED = "run_schedule:deleted"  # never again
    RUN_SCHEDULE_ASKED = "run_schedule:asked"  # somebody had it begin at once
    RUN_SCHEDULE_FIRED = "run_schedule:fired"  # its time came, and this came of it

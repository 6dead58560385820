"""The vocabulary of the audit: `noun:action`, past tense, greppable for ever.

A word that was ever written is never renamed: it is in sealed rows. Tests: tests/unit/cloud/audit/.
"""

from enum import StrEnum


class EventType(StrEnum):
    """What happened."""

    ORGANIZATION_CREATED = "organization:created"  # a tenant came to be
    WORKSPACE_CREATED = "workspace:created"  # a part of it
    PROJECT_CREATED = "project:created"  # a place to work in
    MEMBERSHIP_CREATED = "membership:created"  # a person got a role
    TOKEN_MINTED = "token:minted"  # noqa: S105 - a word, no secret; a credential was made
    TOKEN_REVOKED = "token:revoked"  # noqa: S105 - a word, no secret; a credential was ended
    ENROLLMENT_CODE_CREATED = "enrollment_code:created"  # a machine may enroll with it, once
    CONNECTOR_ENROLLED = "connector:enrolled"  # a machine used a code
    CONNECTOR_CLAIMED = "connector:claimed"  # a machine that asked was accepted
    CONNECTOR_DISABLED = "connector:disabled"  # a machine was shut out
    CONNECTOR_ENABLED = "connector:enabled"  # and let in again
    LINK_OPENED = "link:opened"  # a connector's websocket was authenticated
    LINK_CLOSED = "link:closed"  # and ended
    LOCATION_SHARED = "location:shared"  # an operator offers a repository
    LOCATION_UNSHARED = "location:unshared"  # and withdrew it
    CALL_ACCEPTED = "call:accepted"  # an operation for a machine is durable
    CALL_ANSWERED = "call:answered"  # its outcome is known
    CALL_DENIED = "call:denied"  # it was refused: no scope, or nothing there to see
    CALL_EXPIRED = "call:expired"  # its deadline passed before it was sent
    CALL_CANCELLED = "call:cancelled"  # it was withdrawn before it was sent
    CALL_UNRESOLVED = "call:unresolved"  # its deadline passed after it was sent
    GATE_DECIDED = "gate:decided"  # a person or planner decided a gate

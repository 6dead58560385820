"""Leasing calls from a subject's bucket in the database: one statement, no lock beyond it, and no flush to disk.

The database's clock fills the bucket, so that processes need not agree on theirs. Callers open the organization's
scope. Called by `standings`. Tests: tests/integration/cloud/limits/test_admission.py.
"""

from uuid import UUID

from django.db import connection

from cloud.limits.buckets import Lease

_REFILLED = (
    "LEAST(%(burst)s, b.level + %(rate)s * GREATEST(0, EXTRACT(EPOCH FROM statement_timestamp() - b.at)::float8))"
)
_GRANTED = f"LEAST(%(wanted)s, floor({_REFILLED}))"
_LEASE = f"""
    INSERT INTO limits_ratebucket AS b (id, organization_id, level, granted, at)
    VALUES (%(subject)s, %(organization)s, %(burst)s - LEAST(%(wanted)s, %(burst)s), LEAST(%(wanted)s, %(burst)s),
            statement_timestamp())
    ON CONFLICT (id) DO UPDATE
       SET granted = {_GRANTED}, level = {_REFILLED} - {_GRANTED}, at = GREATEST(b.at, statement_timestamp())
    RETURNING granted, level
"""  # noqa: S608 - constants


def calls_lease(*, organization_id: UUID, subject_id: UUID, rate_per_s: float, burst: int, wanted: int) -> Lease:
    """Take up to `wanted` calls from the subject's bucket; fewer, or none, when it holds no more."""
    facts: dict[str, UUID | float] = {
        "subject": subject_id,
        "organization": organization_id,
        "rate": rate_per_s,
        "burst": float(burst),
        "wanted": float(wanted),
    }
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, facts)
        granted, level = cursor.fetchone()
    return Lease(granted=granted, level=level)

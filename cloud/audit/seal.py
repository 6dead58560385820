"""Chaining what was committed: one batch of one organization.

Order is commit order, batch by batch: a batch holds what was visible and unsealed when it was taken, so an event that
commits later gets a later `seq` however long its transaction took; within a batch it is (transaction, id). Nothing
waits for a slow transaction, and nothing is skipped because of one: `horizon` moves only past what can no longer
appear. A batch is two round trips, whatever its length, and a row is never an object. Callers open the organization's
scope. Called by the sealer. Tests: tests/integration/cloud/audit/test_seal.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from cloud.audit import chain, signing
from local_daemon.protocol import ids
from local_daemon.protocol.failpoints import failpoint

BATCH = 1000
CHECKPOINT_LINKS = 1000
CHECKPOINT_AGE = timedelta(minutes=1)

_HEAD_COLUMNS = 6
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
# Where the chain stands, the number below which no transaction is under way, and what is to be sealed: one row of NULLs
# in its place when there is nothing. A horizon ahead of the database is another server's, from which it was restored:
# it means nothing here.
_BATCH = f"""
    WITH head AS MATERIALIZED (
      SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon_now,
             COALESCE(s.seq, 0) AS seq, s.hash, COALESCE(s.horizon, 0) AS horizon,
             COALESCE(c.seq, 0) AS signed_seq, c.signed_at
        FROM (SELECT 1) one
        LEFT JOIN LATERAL (SELECT seq, hash, horizon FROM audit_auditseal
                            WHERE organization_id = %(org)s ORDER BY seq DESC LIMIT 1) s ON true
        LEFT JOIN LATERAL (SELECT seq, signed_at FROM audit_auditcheckpoint
                            WHERE organization_id = %(org)s ORDER BY seq DESC LIMIT 1) c ON true)
    SELECT head.*, unsealed.*
      FROM head
      LEFT JOIN LATERAL (
        SELECT {chain.EVENT_COLUMNS}, e.transaction_id
          FROM audit_auditevent e
         WHERE e.organization_id = %(org)s
           AND e.transaction_id
               >= CASE WHEN %(is_complete)s OR head.horizon > head.horizon_now THEN 0 ELSE head.horizon END
           AND NOT EXISTS (SELECT FROM audit_auditseal s WHERE s.event_id = e.id)
         ORDER BY e.transaction_id, e.id LIMIT %(limit)s) unsealed ON true
     ORDER BY unsealed.transaction_id, unsealed.id
"""  # noqa: S608 - constants
_APPEND = """
    INSERT INTO audit_auditseal (id, organization_id, seq, event_id, event_hash, prev_hash, hash, horizon, sealed_at)
    SELECT t.id, %(org)s, %(after)s + t.n, t.event_id, t.event_hash,
           COALESCE(lag(t.hash) OVER (ORDER BY t.n), %(prev_hash)s), t.hash, %(horizon)s, %(now)s
      FROM (SELECT g.id::uuid, g.event_id::uuid, decode(g.event_hash, 'hex') AS event_hash,
                   decode(g.hash, 'hex') AS hash, g.n
              FROM unnest(string_to_array(%(ids)s, ','), string_to_array(%(event_ids)s, ','),
                          string_to_array(%(event_hashes)s, ','), string_to_array(%(hashes)s, ','))
                   WITH ORDINALITY AS g(id, event_id, event_hash, hash, n)) t
"""
_SIGN = """
    INSERT INTO audit_auditcheckpoint (id, organization_id, seq, hash, public_key, signature, signed_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """Where an organization's chain stands. `signed_at` None: nothing was ever signed."""

    horizon_now: int
    seq: int
    hash: bytes
    horizon: int
    signed_seq: int
    signed_at: datetime | None


def organization_seal_all(org_id: UUID, *, is_complete: bool = False) -> int:
    """Append the chain over all of the organization's unsealed events, batch by batch; how many there were.

    What commits meanwhile is left to the next time: who chased it would seal one by one for as long as anyone calls."""
    sealed = organization_seal(org_id, is_complete=is_complete)
    total = sealed
    while sealed == BATCH:
        sealed = organization_seal(org_id, is_complete=is_complete)
        total += sealed
    return total


def organization_seal(org_id: UUID, *, limit: int = BATCH, is_complete: bool = False) -> int:
    """Append the chain over the organization's unsealed events, at most `limit`; how many there were.

    `is_complete` looks at all events rather than from the horizon on: for a start, or a restored database, whose
    transaction numbers began anew. Sealers of several processes queue on one lock; the second finds nothing to do."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Statements see what is committed when they begin: the lock must be a statement of its own, and before the
        # rest. It travels with the next one. (Our backend's own method; tenancy, which defines it, stands above.)
        connection.execute_later(_LOCK, [f"ropeway-audit:{org_id}"])  # type: ignore[attr-defined]
        cursor.execute(_BATCH, {"org": org_id, "is_complete": is_complete, "limit": limit})
        found = cursor.fetchall()
        head = _head(found[0])
        rows = [row[_HEAD_COLUMNS:] for row in found if row[_HEAD_COLUMNS] is not None]
        if not rows:
            return 0
        last = _append(org_id, head, rows, is_whole=len(rows) < limit)
        _checkpoint_if_due(org_id, head, seq=head.seq + len(rows), link_hash=last)
        transaction.on_commit(lambda: failpoint("cloud.audit_seal.after_commit"))
        failpoint("cloud.audit_seal.before_commit")
    return len(rows)


def _head(row: Sequence[Any]) -> _Head:
    horizon_now, seq, link_hash, horizon, signed_seq, signed_at = row[:_HEAD_COLUMNS]
    return _Head(
        horizon_now=horizon_now,
        seq=seq,
        hash=chain.GENESIS if link_hash is None else bytes(link_hash),
        horizon=horizon,
        signed_seq=signed_seq,
        signed_at=signed_at,
    )


def _append(org_id: UUID, head: _Head, rows: Sequence[Sequence[Any]], *, is_whole: bool) -> bytes:
    """The last link's hash."""
    event_hashes, hashes, link = [], [], head.hash
    for seq, row in enumerate(rows, start=head.seq + 1):
        told = chain.event_hash(chain.event_facts(row[:-1]))
        link = chain.link_hash(organization_id=org_id, seq=seq, prev_hash=link, event_hash=told)
        event_hashes.append(told.hex())
        hashes.append(link.hex())
    facts = {
        "org": org_id,
        "after": head.seq,
        "prev_hash": head.hash,
        # A batch cut off by its limit vouches only for what lies before its last event.
        "horizon": head.horizon_now if is_whole else min(head.horizon_now, rows[-1][-1]),
        "now": datetime.now(UTC),
        # One text each: the driver would spell an array item by item, at the price of the digests.
        "ids": ",".join(ids.new_uuid7().hex for _ in rows),
        "event_ids": ",".join(row[0].hex for row in rows),
        "event_hashes": ",".join(event_hashes),
        "hashes": ",".join(hashes),
    }
    # Travels with the commit.
    connection.execute_later(_APPEND, facts)  # type: ignore[attr-defined]
    return link


def _checkpoint_if_due(org_id: UUID, head: _Head, *, seq: int, link_hash: bytes) -> None:
    now = datetime.now(UTC)
    is_recent = head.signed_at is not None and now - head.signed_at < CHECKPOINT_AGE
    if is_recent and seq - head.signed_seq < CHECKPOINT_LINKS:
        return
    signed = signing.sign(chain.checkpoint_message(organization_id=org_id, seq=seq, link_hash=link_hash))
    facts = [ids.new_uuid7(), org_id, seq, link_hash, signed.public_key, signed.signature, now]
    connection.execute_later(_SIGN, facts)  # type: ignore[attr-defined]

"""Chaining what was committed: a batch, of one organization or of all that have something new.

Order is commit order, batch by batch: a batch holds what was visible and unsealed when it was taken, so an event that
commits later gets a later `seq` however long its transaction took; within a batch it is (transaction, id). Nothing
waits for a slow transaction, and nothing is skipped because of one: `horizon` moves only past what can no longer
appear. A batch is three round trips and one commit, four where it waits for nobody, however much it holds, and a row is
never an object. Callers open the scope: the organization's, or for several the operator's. Called by the sealer, which
passes over what another one is at, and by who reads a chain to its end, and waits. Tests:
tests/integration/cloud/audit/test_seal.py.
"""

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from cloud.audit import chain, signing, statements
from local_daemon.protocol import ids
from local_daemon.protocol.failpoints import failpoint

BATCH = 1000
"""Events in a batch, of all its organizations together."""
ORGANIZATIONS = 50
"""Organizations in a batch; who has more events than its share of the batch comes again."""
CHECKPOINT_LINKS = 1000
CHECKPOINT_AGE = timedelta(minutes=1)
STANDSTILL_MS = 30_000
"""After so long between two statements PostgreSQL ends a sealer that stopped in the midst of a batch, and with it the
locks that keep others from its chains; within the minute after which `verify` complains."""

_STANDSTILL = "SET LOCAL idle_in_transaction_session_timeout = %s"
_LOCK = "hashtextextended('ropeway-audit:' || o.id, 0)"
_LOCK_ALL = f"SELECT pg_advisory_xact_lock({_LOCK}) FROM unnest(%s) AS o(id)"  # noqa: S608 - constants
_LOCK_FREE = f"SELECT o.id FROM unnest(%s) AS o(id) WHERE pg_try_advisory_xact_lock({_LOCK})"  # noqa: S608 - constants
# Where each chain stands, and the number below which no transaction is under way.
_HEADS = """
    SELECT o.id, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, COALESCE(s.seq, 0), s.hash,
           COALESCE(s.horizon, 0), COALESCE(c.seq, 0), c.signed_at
      FROM unnest(%s) AS o(id)
      LEFT JOIN LATERAL (SELECT seq, hash, horizon FROM audit_auditseal
                          WHERE organization_id = o.id ORDER BY seq DESC LIMIT 1) s ON true
      LEFT JOIN LATERAL (SELECT seq, signed_at FROM audit_auditcheckpoint
                          WHERE organization_id = o.id ORDER BY seq DESC LIMIT 1) c ON true
"""


def _unsealed(aside: str) -> str:
    return f"""
    SELECT o.n, unsealed.*
      FROM unnest(%(org_ids)s, %(begins)s::bigint[]) WITH ORDINALITY AS o(id, begin, n)
     CROSS JOIN LATERAL (
        SELECT e.transaction_id, {chain.EVENT_COLUMNS}
          FROM audit_auditevent e
         WHERE e.organization_id = o.id AND e.transaction_id >= o.begin
           AND NOT EXISTS (SELECT FROM audit_auditseal s WHERE s.event_id = e.id {aside})
         ORDER BY e.transaction_id, e.id LIMIT %(limit)s) unsealed
     ORDER BY o.n, unsealed.transaction_id, unsealed.id
"""  # noqa: S608 - constants


_UNSEALED = _unsealed("")
# The offset keeps the planner to one look into the index an event. It cannot know how few events there are from the
# horizon on, and would read every seal there is into memory instead.
_UNSEALED_LATELY = _unsealed("OFFSET 0")
_APPEND = """
    INSERT INTO audit_auditseal (id, organization_id, seq, event_id, event_hash, prev_hash, hash, horizon, sealed_at)
    SELECT id::uuid, organization_id::uuid, seq::bigint, event_id::uuid, decode(event_hash, 'hex'),
           decode(prev_hash, 'hex'), decode(hash, 'hex'), horizon::bigint, %s
      FROM unnest(string_to_array(%s, ','), string_to_array(%s, ','), string_to_array(%s, ','),
                  string_to_array(%s, ','), string_to_array(%s, ','), string_to_array(%s, ','),
                  string_to_array(%s, ','), string_to_array(%s, ','))
           AS link(id, organization_id, seq, event_id, event_hash, prev_hash, hash, horizon)
"""
_SIGN = """
    INSERT INTO audit_auditcheckpoint (id, organization_id, seq, hash, public_key, signature, signed_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""

_Link = tuple[str, ...]
"""A row for _APPEND, as texts in its order."""
_Lock = Callable[[Any, Sequence[UUID]], Sequence[UUID]]
"""Locks chains for the open transaction, and says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """Where an organization's chain stands. `signed_at` None: nothing was ever signed."""

    org_id: UUID
    horizon_now: int
    seq: int
    hash: bytes
    horizon: int
    signed_seq: int
    signed_at: datetime | None

    @property
    def begin(self) -> int:
        """The first transaction that may have an unsealed event. A horizon ahead of the database is another server's,
        from which it was restored: it means nothing here."""
        return self.horizon if self.horizon <= self.horizon_now else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """How many events were sealed, and whose chains were passed over, for somebody else was sealing them."""

    sealed: int
    held: frozenset[UUID]


def organizations_seal_free(org_ids: Collection[UUID], *, is_complete: bool = False) -> Pass:
    """Append each organization's chain over all of its unsealed events, batch by batch; those that nobody else is at.

    It waits for no other sealer, which may have stopped in the midst, and so never for one that waits for it. Who is
    passed over is to be asked for again: the other one may have read what there was before.

    What commits meanwhile is left to the next time: who chased it would seal one by one for as long as anyone calls.
    `is_complete` looks at all events rather than from the horizon on: for a start, or a restored database, whose
    transaction numbers began anew."""
    waiting, total, held = sorted(org_ids), 0, set[UUID]()
    while waiting:
        # Who comes again comes last, so that nobody's many events keep the others waiting.
        some, waiting = waiting[:ORGANIZATIONS], waiting[ORGANIZATIONS:]
        limit = BATCH // len(some)
        sealed = _batch(some, _free, limit=limit, is_complete=is_complete)
        waiting += [org_id for org_id in some if sealed.get(org_id) == limit]
        held.update(org_id for org_id in some if org_id not in sealed)
        total += sum(sealed.values())
    return Pass(sealed=total, held=frozenset(held))


def organization_seal_all(org_id: UUID, *, is_complete: bool = False) -> int:
    """The same for one, once whoever else is at its chain has ended: for who then reads it to its end. How many events
    there were."""
    total = 0
    while sealed := organization_seal(org_id, limit=BATCH, is_complete=is_complete):
        total += sealed
        if sealed < BATCH:
            break
    return total


def organization_seal(org_id: UUID, *, limit: int = BATCH, is_complete: bool = False) -> int:
    """The same for one and at most `limit` events."""
    # One chain at a time: who waited for one while it held another could be waited for in turn.
    return _batch([org_id], _awaited, limit=limit, is_complete=is_complete)[org_id]


def _awaited(_cursor: Any, org_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Lock these chains as soon as they are free; which: all. Travels with the next statement."""
    statements.execute_later(_LOCK_ALL, [list(org_ids)])
    return org_ids


def _free(cursor: Any, org_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Lock those of these chains that are free; which."""
    cursor.execute(_LOCK_FREE, [list(org_ids)])
    return [org_id for (org_id,) in cursor.fetchall()]


def _batch(org_ids: Sequence[UUID], lock: _Lock, *, limit: int, is_complete: bool) -> dict[UUID, int]:
    """How many were sealed of each whose chain could be locked, at most `limit`."""
    if not all(isinstance(org_id, UUID) for org_id in org_ids):
        raise TypeError("A chain is named by a UUID, not by its text.")
    with transaction.atomic(), connection.cursor() as cursor:
        statements.execute_later(_STANDSTILL, [STANDSTILL_MS])
        # Statements see what is committed when they begin: the locks must be a statement of their own, and before the
        # rest.
        locked = lock(cursor, org_ids)
        sealed = dict.fromkeys(locked, 0)
        if not locked:
            return sealed
        cursor.execute(_HEADS, [list(locked)])
        heads = [_head(row) for row in cursor.fetchall()]
        begins = [0 if is_complete else head.begin for head in heads]
        asked: dict[str, Any] = {"org_ids": [head.org_id for head in heads], "begins": begins, "limit": limit}
        cursor.execute(_UNSEALED if is_complete else _UNSEALED_LATELY, asked)
        links: list[_Link] = []
        due: list[list[Any]] = []
        for n, rows in itertools.groupby(cursor.fetchall(), key=itemgetter(0)):
            head = heads[n - 1]
            more, last = _linked(head, list(rows), limit=limit)
            links += more
            sealed[head.org_id] = len(more)
            if _is_checkpoint_due(head, seq=head.seq + len(more)):
                due.append(_checkpoint(head.org_id, seq=head.seq + len(more), link_hash=last))
        if not links:
            return sealed
        # These travel with the commit. One text a column: the driver would spell an array item by item, at the price
        # of the digests.
        statements.execute_later(_APPEND, [datetime.now(UTC), *map(",".join, zip(*links, strict=True))])
        for facts in due:
            statements.execute_later(_SIGN, facts)
        transaction.on_commit(lambda: failpoint("cloud.audit_seal.after_commit"))
        failpoint("cloud.audit_seal.before_commit")
    return sealed


def _head(row: Sequence[Any]) -> _Head:
    org_id, horizon_now, seq, link_hash, horizon, signed_seq, signed_at = row
    return _Head(
        org_id=org_id,
        horizon_now=horizon_now,
        seq=seq,
        hash=chain.GENESIS if link_hash is None else bytes(link_hash),
        horizon=horizon,
        signed_seq=signed_seq,
        signed_at=signed_at,
    )


def _linked(head: _Head, rows: Sequence[Sequence[Any]], *, limit: int) -> tuple[list[_Link], bytes]:
    """What follows the head, of rows of `_unsealed`, and its last hash."""
    # A batch cut off by its limit vouches only for what lies before its last event.
    horizon = str(head.horizon_now if len(rows) < limit else min(head.horizon_now, rows[-1][1]))
    organization, link = str(head.org_id), head.hash
    links: list[_Link] = []
    for seq, (_n, _transaction_id, *event) in enumerate(rows, start=head.seq + 1):
        before, told = link, chain.row_hash(event)
        link = chain.link_hash(organization_id=organization, seq=seq, prev_hash=before, event_hash=told)
        facts = (ids.new_uuid7().hex, organization, str(seq), event[0].hex, told.hex(), before.hex(), link.hex())
        links.append((*facts, horizon))
    return links, link


def _is_checkpoint_due(head: _Head, *, seq: int) -> bool:
    is_recent = head.signed_at is not None and datetime.now(UTC) - head.signed_at < CHECKPOINT_AGE
    return not is_recent or seq - head.signed_seq >= CHECKPOINT_LINKS


def _checkpoint(org_id: UUID, *, seq: int, link_hash: bytes) -> list[Any]:
    """A row for _SIGN."""
    signed = signing.sign(chain.checkpoint_message(organization_id=org_id, seq=seq, link_hash=link_hash))
    return [ids.new_uuid7(), org_id, seq, link_hash, signed.public_key, signed.signature, datetime.now(UTC)]

"""What an operator wants to know when something is wrong: each thing that serving rests on, tried, with a next step.

Deliberately more than `readiness`, which a load balancer asks every second: this looks at every table's fence and every
kind of key, and says sentences. Blocking; opens the scopes it needs. Called by `cloudctl doctor`, which adds what this
room cannot see. Tests: tests/integration/cloud/health/test_diagnosis.py.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from django.apps import apps
from django.conf import settings
from django.db import Error, connection, models
from django.db.migrations.loader import MigrationLoader

from cloud.audit import signing
from cloud.health import figures, proxies, worker
from cloud.health.findings import Finding, Level
from cloud.secrets import fields, sealing
from cloud.tenancy import database_roles, scope
from cloud.tenancy.models import Organization

AUDIT_LAG_S_MAX = 60.0
WORKER_S_MAX = 180.0
_PROBE = b"cloudctl doctor"


def diagnose() -> Iterator[Finding]:
    """Everything about this installation's database, keys and loops. Without a database the rest is not tried."""
    try:
        connection.ensure_connection()
    except Error as error:
        yield Finding(
            name="database",
            level=Level.FAIL,
            detail=f"it does not answer: {type(error).__name__}",
            next_step="Check DATABASE_URL, and that PostgreSQL runs and lets this host in.",
        )
        return
    yield _server()
    for check in (_role, _fences, _migrations, _audit_key, _sealing_keys, _sealer, _worker, _proxies):
        yield _tried(check)


def _tried(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Error as error:
        sentence = str(error).strip().partition("\n")[0]
        name = check.__name__.strip("_").replace("_", " ")
        return Finding(name=name, level=Level.FAIL, detail=sentence, next_step="Migrate: `manage.py migrate`.")


def _server() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        major: int = cursor.fetchone()[0]
    if major < 15:
        step = "Upgrade it: PostgreSQL 15 is the oldest that is tried."
        return Finding(name="database", level=Level.FAIL, detail=f"PostgreSQL {major}", next_step=step)
    return Finding(name="database", level=Level.OK, detail=f"PostgreSQL {major}")


def _role() -> Finding:
    faults = database_roles.application_role_faults()
    if faults:
        step = "Make the roles as docs/admins.md says; until then this process refuses to serve."
        return Finding(name="database role", level=Level.FAIL, detail=" ".join(faults), next_step=step)
    detail = f"{connection.settings_dict['USER']} is bound by row-level security"
    return Finding(name="database role", level=Level.OK, detail=detail)


# A fence is whole when the table's owner is bound too, the tenant's policy is there for everything, and no other policy
# lets the application in.
_UNFENCED = """
    SELECT wanted.name
      FROM unnest(%s::text[]) AS wanted(name)
      LEFT JOIN pg_class c ON c.relname = wanted.name AND c.relnamespace = 'public'::regnamespace
     WHERE c.oid IS NULL OR NOT c.relrowsecurity OR NOT c.relforcerowsecurity
        OR NOT EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant' AND p.polcmd = '*'
                       AND p.polroles = '{0}' AND pg_get_expr(p.polqual, p.polrelid) LIKE '%%app.organization_id%%'
                       AND pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))
        OR EXISTS (SELECT 1 FROM pg_policy p CROSS JOIN unnest(p.polroles) role
                    WHERE p.polrelid = c.oid AND p.polname <> 'tenant' AND p.polpermissive
                      AND (role = 0 OR pg_has_role(current_user, role, 'USAGE')))
     ORDER BY 1
"""


def _fences() -> Finding:
    tables = [model._meta.db_table for model in apps.get_models() if _is_tenants(model)]
    with connection.cursor() as cursor:
        cursor.execute(_UNFENCED, [tables])
        unfenced = [name for (name,) in cursor.fetchall()]
    if unfenced:
        step = "Stop serving. Migrate, or restore the policies; docs/admins.md, Backup and restore."
        detail = f"not in force on {', '.join(unfenced)}"
        return Finding(name="row-level security", level=Level.FAIL, detail=detail, next_step=step)
    return Finding(name="row-level security", level=Level.OK, detail=f"in force on {len(tables)} tables")


def _is_tenants(model: type[models.Model]) -> bool:
    return model is Organization or any(field.related_model is Organization for field in model._meta.fields)


def _migrations() -> Finding:
    with scope.operator(), connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall())
    missing = sorted(".".join(key) for key in set(MigrationLoader(None).graph.nodes) - applied)
    if missing:
        step = "`manage.py migrate`, with DATABASE_OWNER_URL set."
        detail = f"{len(missing)} to apply, first {missing[0]}"
        return Finding(name="migrations", level=Level.FAIL, detail=detail, next_step=step)
    return Finding(name="migrations", level=Level.OK, detail="all applied")


# The newest checkpoint of each organization: which keys signed them.
_SIGNERS = """
    SELECT DISTINCT head.public_key
      FROM tenancy_organization o
     CROSS JOIN LATERAL (SELECT c.public_key FROM audit_auditcheckpoint c WHERE c.organization_id = o.id
                          ORDER BY c.seq DESC LIMIT 1) head
"""


def _audit_key() -> Finding:
    own, *former = signing.believed_keys()
    signed = signing.sign(_PROBE)
    assert signing.is_signed(_PROBE, public_key=own, signature=signed.signature)
    with scope.operator(), connection.cursor() as cursor:
        cursor.execute(_SIGNERS)
        unknown = {bytes(key) for (key,) in cursor.fetchall()} - {own, *former}
    if unknown:
        step = "Put the former key back behind the new one in ROPEWAY_AUDIT_SIGNING_KEY; audit keys never go."
        detail = f"checkpoints are signed by a key that is not here: {min(unknown).hex()}"
        return Finding(name="audit signing key", level=Level.FAIL, detail=detail, next_step=step)
    return Finding(name="audit signing key", level=Level.OK, detail=f"{own.hex()[:16]}…, {len(former)} former")


def _sealing_keys() -> Finding:
    known = set(sealing.keys_known())
    found: set[str] = set()
    with scope.operator():
        for model, name in fields.sealed_fields():
            key_id = models.Func(models.F(name), models.Value("."), models.Value(2), function="split_part")
            rows = model._default_manager.exclude(**{name: ""}).annotate(key_id=key_id).order_by()
            found |= set(rows.values_list("key_id", flat=True).distinct())
    if found - known:
        step = "Put that key back behind the new one in ROPEWAY_SEALING_KEY, then `cloudctl keys reseal`."
        detail = f"secrets are sealed with keys that are not here: {', '.join(sorted(found - known))}"
        return Finding(name="sealing keys", level=Level.FAIL, detail=detail, next_step=step)
    if found - {sealing.keys_known()[0]}:
        detail = "some secrets are sealed with a former key"
        return Finding(name="sealing keys", level=Level.WARN, detail=detail, next_step="`cloudctl keys reseal`.")
    return Finding(name="sealing keys", level=Level.OK, detail=f"{len(known)}, and all that is sealed opens")


def _sealer() -> Finding:
    lag_s = figures.audit_lag_s()
    if lag_s > AUDIT_LAG_S_MAX:
        step = "Is a serving process running? It seals. `/readyz` and its log say what ended."
        detail = f"the oldest event without a seal is {lag_s:.0f} s old"
        return Finding(name="audit sealer", level=Level.FAIL, detail=detail, next_step=step)
    return Finding(name="audit sealer", level=Level.OK, detail=f"{lag_s:.1f} s behind")


def _worker() -> Finding:
    age_s = worker.worker_beat_age_s()
    step = "Start `manage.py qcluster`, or look in its log."
    if age_s is None:
        return Finding(name="worker", level=Level.WARN, detail="none has ever worked", next_step=step)
    if age_s > WORKER_S_MAX:
        return Finding(name="worker", level=Level.FAIL, detail=f"its last beat is {age_s:.0f} s old", next_step=step)
    return Finding(name="worker", level=Level.OK, detail=f"beat {age_s:.0f} s ago")


def _proxies() -> Finding:
    if settings.TRUSTED_PROXIES:
        trusted = ", ".join(sorted(map(str, settings.TRUSTED_PROXIES)))
        return Finding(name="proxies", level=Level.OK, detail=f"X-Forwarded-For is believed of {trusted}")
    peer = proxies.unheard_lately(now=datetime.now(UTC))
    if peer is not None:
        step = "Name it in ROPEWAY_TRUSTED_PROXIES, and the networks of whatever else is in front."
        detail = f"{peer} names clients in X-Forwarded-For and is not believed: everybody's address is its own"
        return Finding(name="proxies", level=Level.WARN, detail=detail, next_step=step)
    return Finding(name="proxies", level=Level.OK, detail="none is trusted, and none was seen")

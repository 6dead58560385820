"""The rate and the quotas, as calls meet them at the funnel."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cloud.access.models import Token
from cloud.audit.models import AuditEvent
from cloud.dispatch.models import OperationCall
from cloud.limits import admission, services, standings, usage
from cloud.limits.allowances import Allowance
from cloud.limits.models import RateBucket, Usage
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from local_daemon.protocol import errors
from local_daemon.protocol.operations import REMOTE_OPERATIONS
from local_daemon.protocol.scopes import Scope
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.limits.conftest import Call, SetLimits
from tests.integration.cloud.tenants import Tenant


def test_calls_beyond_the_rate_are_refused_with_a_time_to_wait(acme: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=60, calls_burst=3)
    for _ in range(3):
        call()
    with pytest.raises(errors.RateLimited) as refused:
        call()
    assert 0 < (refused.value.retry_after_s or 0) <= 1
    assert refused.value.attributes == {"limit": "calls_per_minute", "allowed": 60}
    with scope.organization(acme.id):
        assert OperationCall.objects.count() == 3


def test_a_call_that_does_not_hold_is_counted_before_it_is_read(acme: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=1, calls_burst=2)
    for _ in range(2):
        with pytest.raises(errors.InvalidRequest):
            call(query={"limit": "many"})
    with pytest.raises(errors.RateLimited):
        call(query={"limit": "many"})
    with scope.organization(acme.id):
        (told,) = AuditEvent.objects.filter(event_type="limit:reached")
        assert (told.details["operation"], OperationCall.objects.count()) == ("runs.list", 0)


def test_what_is_wrong_with_a_call_is_told_before_what_is_used_up(call: Call, limit_all: SetLimits) -> None:
    limit_all(cost_micros_per_month=0)
    with pytest.raises(errors.InvalidRequest):
        call("runs.create", query={"limit": "5"})
    with pytest.raises(errors.QuotaExceeded):
        call("runs.create")


def test_whatever_asks_for_work_is_known_to_cost() -> None:
    """An operation that is added tomorrow is decided about tomorrow."""
    free = {
        "runs.close", "runs.cancel", "steps.cancel", "steps.resolve", "conversations.undo", "conversations.close",
    }  # fmt: skip
    asks = {Scope.RUNS_WRITE, Scope.STEPS_WRITE}
    works = {row.name for row in REMOTE_OPERATIONS.values() if row.mutates and row.scope in asks}
    assert works - free == admission.COSTLY


def test_a_process_that_starts_anew_has_no_calls_of_its_own(call: Call, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=1, calls_burst=3)
    call()
    standings.standings_forget()
    call()
    standings.standings_forget()
    call()
    standings.standings_forget()
    with pytest.raises(errors.RateLimited):
        call()


def test_another_tenant_is_not_held_up(globex: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=1, calls_burst=1)
    call()
    with pytest.raises(errors.NotFound):
        call(principal=globex.principal())


def test_one_tokens_rate_is_its_own(acme: Tenant, call: Call, make_member: MakeMember, make_token: MakeToken) -> None:
    token, _ = make_token(make_member(acme, Role.ORG_OWNER))
    slow, free = acme.principal(), acme.principal()
    slow = type(slow)(kind=slow.kind, id=token.id, organization_id=acme.id, label="slow", scopes=slow.scopes)
    _limit_token(acme, token, Allowance(calls_per_minute=1, calls_burst=1))
    call(principal=slow)
    with pytest.raises(errors.RateLimited):
        call(principal=slow)
    call(principal=free)


def _limit_token(tenant: Tenant, token: Token, allowance: Allowance) -> None:
    from cloud.access import authorization
    from local_daemon.protocol.scopes import Scope

    with scope.organization(tenant.id):
        grant = authorization.authorize(tenant.principal(), Scope.TOKENS_WRITE)
        services.token_limits_set(grant=grant, token_id=token.id, allowance=allowance)


def test_a_refusal_is_told_to_the_audit_once(acme: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=1, calls_burst=1)
    call()
    for _ in range(3):
        with pytest.raises(errors.RateLimited):
            call()
    with scope.organization(acme.id):
        (told,) = AuditEvent.objects.filter(event_type="limit:reached")
    assert told.details["code"] == "rate_limited"
    assert told.client_address == "192.0.2.7"


def test_a_limit_costs_a_call_no_round_trip(call: Call, limit_all: SetLimits) -> None:
    call()
    with CaptureQueriesContext(connection) as unlimited:
        call()
    limit_all(calls_per_minute=60_000, calls_burst=10_000, artifact_bytes_per_day=10**9, cost_micros_per_month=10**9)
    call()
    with CaptureQueriesContext(connection) as limited:
        call()
    assert len(limited) == len(unlimited)


def test_artifacts_beyond_the_days_bytes_wait_for_the_next_day(acme: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(artifact_bytes_per_day=1000)
    call("artifacts.content")
    with scope.organization(acme.id):
        usage.artifact_bytes_add(organization_id=acme.id, token_id=None, size_bytes=1000, now=datetime.now(UTC))
    standings.standings_forget()
    with pytest.raises(errors.QuotaExceeded) as refused:
        call("artifacts.content")
    assert 0 < (refused.value.retry_after_s or 0) <= 86_400
    call("runs.list")


def test_work_beyond_the_months_cost_waits_for_the_next(acme: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(cost_micros_per_month=5_000_000)
    call("runs.create")
    with scope.organization(acme.id):
        Usage.objects.create(
            organization_id=acme.id, kind="cost_micros", day=datetime.now(UTC).date(), amount=5_000_000
        )
    standings.standings_forget()
    with pytest.raises(errors.QuotaExceeded, match="month"):
        call("runs.create")
    call("runs.list")


def test_the_bucket_is_not_written_to_disk_for_each_lease(acme: Tenant, call: Call, limit_all: SetLimits) -> None:
    limit_all(calls_per_minute=60)
    call()
    with scope.organization(acme.id):
        assert RateBucket.objects.get().id == acme.id
        with connection.cursor() as cursor:
            cursor.execute("SELECT relpersistence::text FROM pg_class WHERE relname = 'limits_ratebucket'")
            assert cursor.fetchone() == ("u",)

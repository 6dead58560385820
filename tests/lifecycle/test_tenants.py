"""The life of an organization, a workspace or a project, walked exhaustively."""

import itertools

import pytest

from cloud.tenancy import lifecycle
from cloud.tenancy.lifecycle import TenantEvent, TenantStatus
from local_daemon.protocol import errors

EXPECTED = {
    (TenantStatus.ACTIVE, TenantEvent.SUSPEND): TenantStatus.SUSPENDED,
    (TenantStatus.ACTIVE, TenantEvent.DELETE): TenantStatus.DELETING,
    (TenantStatus.SUSPENDED, TenantEvent.RESUME): TenantStatus.ACTIVE,
    (TenantStatus.SUSPENDED, TenantEvent.DELETE): TenantStatus.DELETING,
    (TenantStatus.DELETING, TenantEvent.RESUME): TenantStatus.ACTIVE,
}


@pytest.mark.parametrize(("status", "event"), list(itertools.product(TenantStatus, TenantEvent)))
def test_a_tenant_goes_where_the_table_says_or_nowhere(status: TenantStatus, event: TenantEvent) -> None:
    if (status, event) in EXPECTED:
        assert lifecycle.advance(status, event) is EXPECTED[status, event]
        assert not lifecycle.is_done(status, event)
    else:
        with pytest.raises(errors.InvalidTransition):
            lifecycle.advance(status, event)


@pytest.mark.parametrize(("status", "event"), list(itertools.product(TenantStatus, TenantEvent)))
def test_asking_twice_is_asking_once(status: TenantStatus, event: TenantEvent) -> None:
    if (status, event) in EXPECTED:
        assert lifecycle.is_done(EXPECTED[status, event], event)

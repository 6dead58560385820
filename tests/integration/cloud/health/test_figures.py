"""What is looked up for a scrape."""

import pytest

from cloud.audit import seal
from cloud.health import figures
from cloud.tenancy import scope
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_audits_lag_is_that_of_its_oldest_unsealed_event_of_any_tenant(acme: Tenant, globex: Tenant) -> None:
    assert figures.audit_lag_s() > 0
    for tenant in (acme, globex):
        with scope.organization(tenant.id):
            seal.organization_seal_all(tenant.id)
    assert figures.audit_lag_s() == 0

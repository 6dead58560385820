"""What an operator is told of the database: each way in which a fence is lost is seen."""

import psycopg
import pytest
from django.conf import settings

from cloud.config import database_url
from cloud.health import diagnosis
from cloud.health.findings import Finding, Level
from tests.integration.cloud.tenants import Tenant

TABLE = "tenancy_project"


def found(name: str) -> Finding:
    return {finding.name: finding for finding in diagnosis.diagnose()}[name]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("lost", "restored"),
    [
        (f"ALTER TABLE {TABLE} NO FORCE ROW LEVEL SECURITY", f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY"),
        (f"CREATE POLICY extra ON {TABLE} USING (true)", f"DROP POLICY extra ON {TABLE}"),
        (f"ALTER POLICY tenant ON {TABLE} RENAME TO other", f"ALTER POLICY other ON {TABLE} RENAME TO tenant"),
    ],
)
def test_a_fence_that_is_not_whole_is_told(lost: str, restored: str) -> None:
    with psycopg.connect(database_url.url_from_database(settings.DATABASES["owner"]), autocommit=True) as owner:
        owner.execute(lost)
        try:
            finding = found("row-level security")
        finally:
            owner.execute(restored)
    assert (finding.level, finding.detail) == (Level.FAIL, f"not in force on {TABLE}")
    assert found("row-level security").level is Level.OK


@pytest.mark.django_db
def test_an_audit_that_nobody_seals_is_told(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found("audit sealer").level is Level.OK
    monkeypatch.setattr(diagnosis, "AUDIT_LAG_S_MAX", -1.0)
    assert found("audit sealer").level is Level.FAIL

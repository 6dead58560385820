import os
import signal
import subprocess
import sys
from textwrap import dedent

import pytest
from django.conf import settings
from django.db import DataError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from cloud.tenancy import scope, services
from cloud.tenancy.models import Organization
from cloud.tenancy.transaction import execute_later, recorded
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_inner_change_is_kept_or_lost_with_the_outer_one(acme: Tenant) -> None:
    with pytest.raises(ZeroDivisionError), scope.organization(acme.id), recorded("outer"):
        services.workspace_ensure(organization_id=acme.id, name="second", actor=None)
        _ = 1 / 0
    with scope.organization(acme.id):
        assert acme.organization.workspace_set.count() == 1


_RENAME = "UPDATE tenancy_organization SET name = %s"


def test_what_is_put_off_travels_with_the_commit(acme: Tenant) -> None:
    with scope.organization(acme.id), CaptureQueriesContext(connection) as queries, recorded("rename"):
        execute_later(_RENAME, ["100% later"])
    assert [query["sql"] for query in queries if "UPDATE" in query["sql"]] == []
    with scope.organization(acme.id):
        assert Organization.objects.get().name == "100% later"


def test_what_was_put_off_is_seen_by_the_next_statement_in_its_own_scope(acme: Tenant, globex: Tenant) -> None:
    with transaction.atomic():
        with scope.organization(acme.id):
            execute_later(_RENAME, ["Later"])
        with scope.operator():
            assert Organization.objects.get(id=globex.id).name == "Globex"
            assert Organization.objects.get(id=acme.id).name == "Later"


def test_what_was_put_off_fails_the_commit_when_it_fails(acme: Tenant) -> None:
    with scope.organization(acme.id):
        with pytest.raises(DataError), recorded("rename"):
            Organization.objects.update(name="Kept only with the rest")
            execute_later(_RENAME, ["x" * 1000])
        assert Organization.objects.get().name == "Acme"


def test_what_was_put_off_inside_a_savepoint_is_lost_with_it(acme: Tenant) -> None:
    with scope.organization(acme.id):
        with transaction.atomic():
            execute_later(_RENAME, ["Before"])
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                execute_later(_RENAME, ["Inside"])
                _ = 1 / 0
        assert Organization.objects.get().name == "Before"


@pytest.mark.parametrize(("side", "is_kept"), [("before_commit", False), ("after_commit", True)])
def test_a_process_killed_at_a_failpoint_keeps_all_or_nothing(django_db_setup: None, side: str, is_kept: bool) -> None:
    program = dedent(
        f"""
        import django; django.setup()
        from django.conf import settings
        settings.DATABASES["default"]["NAME"] = {connections["default"].settings_dict["NAME"]!r}
        from cloud.tenancy import services
        services.organization_ensure(name="Survivor")
        """
    )
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "cloud.config.settings.test",
        "ROPEWAY_ENV": "test",
        "ROPEWAY_FAILPOINT": f"cloud.organization_ensure.{side}",
    }
    ended = subprocess.run([sys.executable, "-c", program], env=environment, cwd=settings.ROOT, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    with scope.operator():
        assert Organization.objects.filter(slug="survivor").exists() is is_kept

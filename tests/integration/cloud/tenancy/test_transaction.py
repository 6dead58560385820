import os
import signal
import subprocess
import sys
from textwrap import dedent

import pytest
from django.conf import settings
from django.db import connections

from cloud.tenancy import scope, services
from cloud.tenancy.models import Organization
from cloud.tenancy.transaction import recorded
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_inner_change_is_kept_or_lost_with_the_outer_one(acme: Tenant) -> None:
    with pytest.raises(ZeroDivisionError), scope.organization(acme.id), recorded("outer"):
        services.workspace_ensure(organization_id=acme.id, name="second", actor=None)
        _ = 1 / 0
    with scope.organization(acme.id):
        assert acme.organization.workspace_set.count() == 1


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

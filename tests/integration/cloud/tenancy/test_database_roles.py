import psycopg
import pytest
from django.conf import settings
from django.db import connections

from cloud.config import checks, database_url
from cloud.tenancy import database_roles

pytestmark = pytest.mark.django_db(databases=["default", "owner"])


def test_the_application_role_is_fit_to_serve() -> None:
    assert list(database_roles.application_role_faults()) == []
    assert checks.application_role_check(databases=["default"]) == []
    checks.refuse_unsafe_role()


def test_serving_as_the_owner_is_refused() -> None:
    faults = database_roles.application_role_faults("owner")
    assert any("owns tables" in fault for fault in faults)


@pytest.mark.django_db(transaction=True, databases=["default"])
def test_serving_as_a_superuser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        psycopg.connect(database_url.url_from_database({**settings.DATABASES["default"], "USER": "postgres"})).close()
    except psycopg.OperationalError:
        pytest.skip("this server lets nobody in as superuser")
    connections["default"].close()
    monkeypatch.setitem(connections["default"].settings_dict, "USER", "postgres")
    with pytest.raises(checks.UnsafeDatabaseRole, match="bypasses row-level security"):
        checks.refuse_unsafe_role()
    connections["default"].close()

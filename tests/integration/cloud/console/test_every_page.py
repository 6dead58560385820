"""Every list and row of the admin, for everyone who may see it, without one tenant ever seeing the other's.

All of them look at the same two tenants, which are made once and rolled back at the end: nobody changes them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django.plugin import DjangoDbBlocker

from cloud.accounts.models import User
from cloud.permissions.roles import Role
from cloud.tenancy import scope
from tests.integration.cloud.everything import everything_make
from tests.integration.cloud.tenants import Tenant, member_make, tenant_make

OURS = {"accounts", "tenancy", "access", "audit", "connectors", "runs", "dispatch", "limits", "schedules"}
# Counters of the machinery, which say nothing to a person.
WITHOUT_PAGE = {
    "access_signinfailures", "access_signinplace", "connectors_claimguesses", "limits_ratebucket", "limits_runstart",
    "limits_usagecursor",
}  # fmt: skip
LISTS = sorted(
    {f"{m._meta.app_label}_{m._meta.model_name}" for m in apps.get_models() if m._meta.app_label in OURS} - WITHOUT_PAGE
)
# A waiting machine is seen by its code only; the worker's tasks are of no organization.
OPERATORS_ONLY = {"connectors_pendingconnector", "schedules_scheduledtask"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnished:
    """Two tenants with something in every table, and the browsers of an owner of the first and of an operator."""

    acme: Tenant
    globex: Tenant
    owner: Client
    operator: Client


@pytest.fixture(scope="module")
def furnished(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Furnished]:
    with django_db_blocker.unblock(), transaction.atomic():
        acme, globex = tenant_make("Acme"), tenant_make("Globex")
        owner, operator = Client(), Client()
        owner.force_login(member_make(acme, Role.ORG_OWNER).user)
        operator.force_login(User.objects.create_superuser("operator@example.com", "a long password"))
        for tenant in (acme, globex):
            everything_make(tenant)
        yield Furnished(acme=acme, globex=globex, owner=owner, operator=operator)
        transaction.set_rollback(True)


def test_every_model_of_a_tenant_has_a_page() -> None:
    assert {name for name in LISTS if apps.get_model(*name.split("_", 1)) not in admin.site._registry} == set()


@pytest.mark.parametrize("name", LISTS)
def test_an_owner_reads_every_list_and_row_of_its_own(furnished: Furnished, name: str) -> None:
    page = furnished.owner.get(reverse(f"admin:{name}_changelist"))
    assert page.status_code == (403 if name in OPERATORS_ONLY else 200)
    if name in OPERATORS_ONLY:
        return
    assert str(furnished.globex.organization.name) not in page.content.decode()
    rows = page.context["cl"].result_list
    assert len(rows) >= 1
    row = furnished.owner.get(reverse(f"admin:{name}_change", args=[rows[0].pk]), follow=True)
    assert row.status_code == 200
    assert 'name="_save"' not in row.content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_an_operator_reads_every_list(furnished: Furnished, name: str) -> None:
    assert furnished.operator.get(reverse(f"admin:{name}_changelist")).status_code == 200


@pytest.mark.parametrize("name", sorted({*LISTS} - OPERATORS_ONLY))
def test_another_tenants_row_does_not_exist(furnished: Furnished, name: str) -> None:
    model = apps.get_model(*name.split("_", 1))
    with scope.operator():
        rows = model._default_manager.all()
        lookup = {"accounts_user": "memberships__organization", "tenancy_organization": "pk"}.get(name, "organization")
        theirs = rows.filter(**{lookup: furnished.globex.id}).first()
    assert theirs is not None
    page = furnished.owner.get(reverse(f"admin:{name}_change", args=[theirs.pk]))
    assert page.status_code == 404

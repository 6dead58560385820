"""What people read on pages: their words, not the code's."""

import re

import pytest
from django.apps import apps
from django.contrib import admin
from django.urls import reverse

from cloud.console import navigation, words
from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

OURS = [model for model in admin.site._registry if model.__module__.startswith("cloud.")]
_INTERNAL = ("snapshot", "connector", "instance", "location", "membership", "rollup", "cursor", "firing", "operation")


def test_every_page_has_words_of_its_own() -> None:
    assert {model._meta.label for model in OURS} == set(words.MODELS)
    assert {model._meta.app_label for model in admin.site._registry} == set(words.ROOMS)


def test_no_heading_speaks_of_what_only_the_code_knows() -> None:
    for model in OURS:
        said = f"{model._meta.verbose_name} {model._meta.verbose_name_plural} {model._meta.app_config.verbose_name}"
        assert not [word for word in _INTERNAL if word in said.lower()], said


def test_the_sidebar_calls_pages_as_they_call_themselves() -> None:
    for _, items in navigation.GROUPS:
        for title, _, label in items:
            if label != "audit.AuditEvent":
                assert title.lower() == str(apps.get_model(label)._meta.verbose_name_plural)


def test_no_migration_is_due_for_a_word() -> None:
    """They are said to the models that run, not to those that migrations know."""
    for label in words.MODELS:
        assert "verbose_name" not in apps.get_model(label)._meta.original_attrs


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "trail"),
    [
        ("runs_runsnapshot", ["Work", "Runs"]),
        ("connectors_connector", ["Machines"]),
        ("schedules_runschedule", ["Schedules"]),
        ("connectors_location", ["Machines", "Repositories"]),
        ("tenancy_membership", ["Organization", "Members"]),
        ("tenancy_organization", ["Organizations"]),
    ],
)
def test_the_way_back_is_named_once_as_people_name_it(
    acme: Tenant, sign_in: SignIn, name: str, trail: list[str]
) -> None:
    page = sign_in(acme).get(reverse(f"admin:{name}_changelist")).content.decode()
    heading = page[page.index("<h1") : page.index("</h1>")]
    said = re.sub("<[^>]+>", " ", heading).replace("chevron_right", " ").split()
    assert said == trail

import re

import pytest
from django.test import Client
from django.urls import reverse

from tests.integration.cloud.console.conftest import SignIn
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def test_no_script_may_stand_in_a_page_and_none_does(acme: Tenant, sign_in: SignIn) -> None:
    page = sign_in(acme).get(reverse("admin:index"))
    policy = page.headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts
    text = page.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", text)
    assert not re.search(r"""\son[a-z]+=["']""", text)
    assert not re.search(r"""(?:src|href)=["']https?://""", text)


def test_the_door_has_the_policy_too(db: None) -> None:
    assert "frame-ancestors 'none'" in Client().get(reverse("admin:login")).headers["Content-Security-Policy"]

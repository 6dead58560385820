"""Rotating the installation's keys: what the old ones signed and hashed still holds."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.db import connection, models
from django.test.utils import isolate_apps

from cloud.access.authentication import authenticate_bearer
from cloud.access.models import Token
from cloud.audit import seal, verify
from cloud.cloudctl import keys
from cloud.permissions.roles import Role
from cloud.secrets import fields, rings, sealing
from cloud.tenancy import scope, threads
from tests.integration.cloud.conftest import MakeMember, MakeToken
from tests.integration.cloud.tenants import Tenant


@pytest.fixture
def kept_in(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in rings.NAMES.values():
        monkeypatch.delenv(name, raising=False)
    settings.KEYS_KEPT_IN = tmp_path
    return tmp_path


def run(*arguments: str) -> dict[str, object]:
    ended = CliRunner().invoke(keys.keys, [*arguments, "--json"])
    assert ended.exit_code == 0, ended.output
    found: dict[str, object] = json.loads(ended.output)
    return found


def _keys_of(ring: str) -> list[str]:
    rows: Any = run("list")["items"]
    return next(row["keys"] for row in rows if row["ring"] == ring)


@pytest.mark.parametrize("ring", sorted(rings.NAMES))
def test_each_ring_can_be_rotated(kept_in: Path, ring: str) -> None:
    before = _keys_of(ring)
    assert run("rotate", ring) == {"variable": rings.NAMES[ring], "set_it_to": None, "is_kept": True}
    after = _keys_of(ring)
    assert (len(after), after[1:]) == (2, before)


@pytest.mark.django_db(transaction=True)
def test_a_token_of_a_former_key_works_and_is_moved_to_the_newest(
    acme: Tenant, make_member: MakeMember, make_token: MakeToken, settings: Any
) -> None:
    token, secret = make_token(make_member(acme, Role.ORG_OWNER))
    settings.TOKEN_KEY, settings.TOKEN_FORMER_KEYS = os.urandom(32), (settings.TOKEN_KEY,)
    assert authenticate_bearer(secret).id == token.id
    threads.close_all()
    settings.TOKEN_FORMER_KEYS = ()
    assert authenticate_bearer(secret).id == token.id
    with scope.organization(acme.id):
        assert bytes(Token.objects.get().digest) != bytes(token.digest)


@pytest.mark.django_db
def test_a_checkpoint_of_a_former_key_still_verifies(acme: Tenant, settings: Any) -> None:
    former = settings.AUDIT_SIGNING_KEY
    with scope.organization(acme.id):
        seal.organization_seal_all(acme.id)
        settings.AUDIT_SIGNING_KEY = os.urandom(32)
        assert "unknown key" in str(verify.chain_verify(acme.id).first_bad)
        ring = rings.InstallationKeys(secret=(), token=(), audit=(settings.AUDIT_SIGNING_KEY, former), sealing=())
        settings.AUDIT_FORMER_PUBLIC_KEYS = ring.audit_former_public
        assert verify.chain_verify(acme.id).ok


@pytest.mark.django_db(transaction=True)
def test_what_is_sealed_is_sealed_anew(settings: Any) -> None:
    with isolate_apps("cloud.secrets"):

        class Webhook(models.Model):
            secret = fields.SealedField(blank=True)

            class Meta:
                app_label = "secrets"

            def __str__(self) -> str:
                return str(self.pk)

    # A table of the connection's own, which the application may make.
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE {Webhook._meta.db_table} (id bigserial PRIMARY KEY, secret text NOT NULL)"
        )
    rows = [Webhook.objects.create(secret="") for _ in range(3)]
    for row in rows[:2]:
        row.secret = sealing.sealed(b"hunter2", place=fields.place_of(row, "secret"))
        row.save()
    settings.SEALING_KEYS = (os.urandom(32), *settings.SEALING_KEYS)
    assert [fields.fields_reseal(Webhook, "secret"), fields.fields_reseal(Webhook, "secret")] == [2, 0]
    settings.SEALING_KEYS = settings.SEALING_KEYS[:1]
    row = Webhook.objects.get(pk=rows[0].pk)
    assert sealing.opened(row.secret, place=fields.place_of(row, "secret")) == b"hunter2"


@pytest.mark.django_db
def test_nothing_is_stored_sealed_yet() -> None:
    assert run("reseal") == {"resealed": 0}

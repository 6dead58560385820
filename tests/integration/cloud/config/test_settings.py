"""Production's settings, in a process of their own: nothing is made up, and what is missing is named."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from cloud.config import database_url

KEY = base64.b64encode(os.urandom(32)).decode()


def manage(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
    environment: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "cloud.config.settings.production",
        "ROPEWAY_HOSTS": "ropeway.example",
        "ROPEWAY_SECRET_KEY": KEY,
        "ROPEWAY_TOKEN_KEY": KEY,
        "ROPEWAY_AUDIT_SIGNING_KEY": KEY,
        "ROPEWAY_SEALING_KEY": KEY,
        "DATABASE_URL": database_url.url_from_database(settings.DATABASES["default"]),
        **changes,
    }
    given = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=given,
        cwd=settings.ROOT,
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("module", ["production", "worker"])
def test_a_complete_environment_passes_every_deployment_check(django_db_setup: None, module: str) -> None:
    ended = manage(
        "check",
        "--deploy",
        "--database",
        "default",
        "--fail-level",
        "WARNING",
        DJANGO_SETTINGS_MODULE=f"cloud.config.settings.{module}",
        ROPEWAY_SETTINGS="production",
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "name",
    [
        "ROPEWAY_SECRET_KEY",
        "ROPEWAY_TOKEN_KEY",
        "ROPEWAY_AUDIT_SIGNING_KEY",
        "ROPEWAY_SEALING_KEY",
        "DATABASE_URL",
    ],
)
def test_what_is_missing_is_named(name: str) -> None:
    ended = manage("check", **{name: None})
    assert ended.returncode != 0
    assert name in ended.stderr


def test_tests_leave_the_folder_alone_that_the_environment_names(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    tests = {"DJANGO_SETTINGS_MODULE": "cloud.config.settings.test", "ROPEWAY_VAR": str(kept)}
    ended = manage(
        "shell", "--no-imports", "--command", "from django.conf import settings; print(settings.VAR)", **tests
    )
    assert (ended.stdout.strip(), kept.exists()) == (str(settings.VAR), False), ended.stderr


def test_migrating_needs_the_owner(django_db_setup: None) -> None:
    ended = manage("migrate")
    assert ended.returncode == 1
    assert "Set DATABASE_OWNER_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_models_and_their_migrations_agree(django_db_setup: None) -> None:
    ended = manage("makemigrations", "--check", "--dry-run")
    assert ended.returncode == 0, ended.stdout

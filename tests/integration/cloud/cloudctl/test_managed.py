"""`manage.py cloudctl` is the console script by another name."""

import json
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.management import call_command, execute_from_command_line

from cloud.cloudctl import exits
from local_daemon.protocol import version
from tests.integration.cloud.tenants import Tenant

pytestmark = pytest.mark.django_db


def managed(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        execute_from_command_line(["manage.py", "cloudctl", *words])
    return int(ended.value.code or 0)


def test_a_command_answers_as_the_script_does(acme: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    assert managed("org", "list", "--json") == exits.Exit.DONE
    (row,) = json.loads(capsys.readouterr().out)["items"]
    assert row["slug"] == "acme"


def test_its_statuses_are_the_scripts(acme: Tenant) -> None:
    assert managed("task", "run", "nothing") == exits.Exit.NOT_FOUND
    assert managed("nothing") == exits.Exit.USAGE


def test_code_may_call_it_too(acme: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command("cloudctl", "org", "list", "--json")
    assert "acme" in capsys.readouterr().out


def test_a_checkout_is_enough() -> None:
    argv = [sys.executable, "manage.py", "cloudctl", "--version"]
    done = subprocess.run(argv, cwd=settings.ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, version.__version__)

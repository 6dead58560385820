"""Tests inside one process: a database of their own on the embedded (or given) server, cheap passwords, no pool.

tests/integration/cloud/conftest.py makes the database and points both aliases at it. Journeys that start real processes
use `local`.
"""

import os
from pathlib import Path

from cloud.config.embedded_postgres import EmbeddedPostgres

# Before the others read it: the tests' server and keys are not the developer's, wherever those lie.
os.environ["ROPEWAY_VAR"] = str(Path(__file__).resolve().parents[3] / ".var" / "test")

if "DATABASE_URL" not in os.environ:
    # Nobody keeps what tests wrote, so no commit need wait for the disk. `local` finds the server running.
    EmbeddedPostgres(Path(os.environ["ROPEWAY_VAR"]) / "postgres", durable=False).ensure_running()

from cloud.config.settings.local import *  # noqa: F403
from cloud.config.settings.worker import DATABASES  # noqa: F401

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
# Looking through every app's static files takes longer than most tests.
WHITENOISE_USE_FINDERS = False

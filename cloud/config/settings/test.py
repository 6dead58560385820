"""Tests inside one process: a database of their own on the embedded (or given) server, cheap passwords, no pool.

tests/postgres.py makes the database and points both aliases at it. Journeys that start real processes use `local`.
"""

from cloud.config.settings.local import *  # noqa: F403
from cloud.config.settings.worker import DATABASES  # noqa: F401

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]

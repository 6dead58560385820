"""Development, the demo, and one machine: everything that is missing is made below `.var/`.

The database is DATABASE_URL (and DATABASE_OWNER_URL to migrate), or an embedded server that is started here. Serves on
loopback; deliberately without TLS.
"""

import os

from cloud.config import database_url, embedded_postgres, keys
from cloud.config.settings.shared import *  # noqa: F403
from cloud.config.settings.shared import VAR

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *os.environ.get("ROPEWAY_HOSTS", "").split(",")]
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("ROPEWAY_ORIGINS", "").split(",") if origin]

_KEYS = VAR / "keys"
SECRET_KEY = keys.key_bytes("ROPEWAY_SECRET_KEY", kept_in=_KEYS).hex()
TOKEN_KEY = keys.key_bytes("ROPEWAY_TOKEN_KEY", kept_in=_KEYS)
AUDIT_SIGNING_KEY = keys.key_bytes("ROPEWAY_AUDIT_SIGNING_KEY", kept_in=_KEYS)

if "DATABASE_URL" in os.environ:
    _APP_URL = os.environ["DATABASE_URL"]
    _OWNER_URL = os.environ.get("DATABASE_OWNER_URL", "")
else:
    _urls = embedded_postgres.EmbeddedPostgres(VAR / "postgres").ensure_database("ropeway")
    _APP_URL, _OWNER_URL = _urls.app, _urls.owner

DATABASES = {
    # Eight database threads keep one each; the rest is for the admin's and REST's own threads.
    "default": database_url.database_from_url(
        _APP_URL, OPTIONS={"pool": {"min_size": 1, "max_size": 24, "timeout": 10}}
    )
}
if _OWNER_URL:
    DATABASES["owner"] = database_url.database_from_url(_OWNER_URL)

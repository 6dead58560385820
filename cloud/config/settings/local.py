"""Development, the demo, and one machine: everything that is missing is made below `.var/`.

The database is DATABASE_URL (and DATABASE_OWNER_URL to migrate), or an embedded server that is started here. Serves on
loopback; deliberately without TLS.
"""

import os

from cloud.config import database_url, embedded_postgres
from cloud.config.settings.shared import *  # noqa: F403
from cloud.config.settings.shared import OWNER_OPTIONS, VAR
from cloud.secrets import rings

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *os.environ.get("ROPEWAY_HOSTS", "").split(",")]
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("ROPEWAY_ORIGINS", "").split(",") if origin]

KEYS_KEPT_IN = VAR / "keys"
_keys = rings.installation_keys(kept_in=KEYS_KEPT_IN)
SECRET_KEY, SECRET_KEY_FALLBACKS = _keys.secret[0].hex(), [key.hex() for key in _keys.secret[1:]]
TOKEN_KEY, TOKEN_FORMER_KEYS = _keys.token[0], _keys.token[1:]
AUDIT_SIGNING_KEY, AUDIT_FORMER_PUBLIC_KEYS = _keys.audit[0], _keys.audit_former_public
SEALING_KEYS = _keys.sealing

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
    DATABASES["owner"] = database_url.database_from_url(_OWNER_URL, OPTIONS=OWNER_OPTIONS)

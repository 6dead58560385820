"""An operator's installation: every secret and address comes from the environment, and nothing is made up.

DATABASE_URL names the application's role; DATABASE_OWNER_URL is set for `manage.py migrate` only. TLS ends in front.
"""

import os

from cloud.config import database_url
from cloud.config.settings.shared import *  # noqa: F403
from cloud.config.settings.shared import OWNER_OPTIONS, VAR
from cloud.secrets import rings

ALLOWED_HOSTS = os.environ["ROPEWAY_HOSTS"].split(",")
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]

KEYS_KEPT_IN = None
_keys = rings.installation_keys(kept_in=KEYS_KEPT_IN)
SECRET_KEY, SECRET_KEY_FALLBACKS = _keys.secret[0].hex(), [key.hex() for key in _keys.secret[1:]]
TOKEN_KEY, TOKEN_FORMER_KEYS = _keys.token[0], _keys.token[1:]
AUDIT_SIGNING_KEY, AUDIT_FORMER_PUBLIC_KEYS = _keys.audit[0], _keys.audit_former_public
SEALING_KEYS = _keys.sealing

DATABASES = {
    "default": database_url.database_from_url(
        os.environ["DATABASE_URL"], OPTIONS={"pool": {"min_size": 2, "max_size": 24, "timeout": 10}}
    )
}
if "DATABASE_OWNER_URL" in os.environ:
    DATABASES["owner"] = database_url.database_from_url(os.environ["DATABASE_OWNER_URL"], OPTIONS=OWNER_OPTIONS)

STATIC_ROOT = VAR / "static"
WHITENOISE_USE_FINDERS = False
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
# Whether a whole domain goes on the browsers' lists is its owner's decision.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

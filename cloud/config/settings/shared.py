"""What every process of the cloud has in common, whatever the installation.

The others start from here: `local` (development and demo), `worker` (django-q2), `test`, `production`. Values come from
the environment; what may be missing is decided there, not here.
"""

import os
from pathlib import Path
from typing import Any

from django.templatetags.static import static

from cloud.config import client_address
from cloud.limits import allowances
from local_daemon.protocol import version

ROOT = Path(__file__).resolve().parents[3]
VAR = Path(os.environ.get("ROPEWAY_VAR", ROOT / ".var"))

DEBUG = False
ALLOWED_HOSTS: list[str] = []
ROOT_URLCONF = "cloud.config.urls"
ASGI_APPLICATION = "cloud.config.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = "cloud.console.formats"
LANGUAGE_CODE = "en"

INSTALLED_APPS = [
    # Before the admin, whose templates it replaces.
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "cloud.accounts",
    "cloud.tenancy",
    "cloud.audit",
    "cloud.access",
    "cloud.connectors",
    "cloud.runs",
    "cloud.limits",
    "cloud.dispatch",
    "cloud.health",
    "cloud.polling",
    "cloud.schedules",
    # After the schedules, whose `qcluster` replaces its own.
    "django_q",
    "cloud.console",
    "cloud.config",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "cloud.console.content_policy.ContentPolicyMiddleware",
    # Daphne serves no static files, not even with DEBUG.
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "cloud.console.middleware.TenantScopeMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "cloud" / "console" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

STATIC_URL = "/static/"
# Serves each app's own files where they lie; production collects them instead.
STATIC_ROOT: Path | None = None
WHITENOISE_USE_FINDERS = True

AUTHENTICATION_BACKENDS = ["cloud.access.sign_in_limits.PasswordBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "cloud.console.error_pages.form_stale"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# How long the audit is kept; 0: for ever. Never less than 30 days.
AUDIT_RETENTION_DAYS = int(os.environ.get("ROPEWAY_AUDIT_RETENTION_DAYS", "0"))

# How long the rest is kept; 0: for ever. What calls asked and were answered: never less than two days, for so long a
# repeated call is told its answer. The feed of runs' events. When machines were connected.
CALL_CONTENT_RETENTION_DAYS = int(os.environ.get("ROPEWAY_CALL_CONTENT_RETENTION_DAYS", "2"))
FEED_RETENTION_DAYS = int(os.environ.get("ROPEWAY_FEED_RETENTION_DAYS", "90"))
PRESENCE_RETENTION_DAYS = int(os.environ.get("ROPEWAY_PRESENCE_RETENTION_DAYS", "90"))

# A task runs twice when `retry` is not beyond `timeout`; every task is idempotent all the same.
Q_CLUSTER = {
    "name": "ropeway",
    "orm": "default",
    "workers": 2,
    "timeout": 120,
    "retry": 180,
    "poll": 0.5,
    "max_attempts": 3,
    "save_limit": 1000,
    "catch_up": False,
    "label": "Tasks",
}

# What an organization and a token may use where nobody set anything else: JSON, docs/admins.md names the fields.
LIMITS = {
    "organization": allowances.allowance_parse(os.environ.get("ROPEWAY_ORGANIZATION_LIMITS", "")),
    "token": allowances.allowance_parse(os.environ.get("ROPEWAY_TOKEN_LIMITS", "")),
}

# /api/cloud/v1. Everything else about its routes is said where they are (cloud/rest).
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "cloud.rest.schema.RouteSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Ropeway",
    "DESCRIPTION": "The control plane: tenants, people, tokens, machines, what ran on them, and the audit of it all.",
    "VERSION": version.__version__,
    "LICENSE": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    "POSTPROCESSING_HOOKS": [],
}

UNFOLD = {
    "SITE_TITLE": "Ropeway",
    "SITE_HEADER": "Ropeway",
    "SITE_SUBHEADER": "From planner to machine",
    "SITE_SYMBOL": "cable_car",
    # There is no other site to return to.
    "SITE_URL": None,
    "SITE_DROPDOWN": [
        {"icon": "apartment", "title": "Another organization", "link": "/admin/organization/"},
    ],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("console/icon.svg")},
    ],
    "STYLES": [lambda _request: static("console/console.css")],
    "SCRIPTS": [
        lambda _request: static("console/console.js"),
        lambda _request: static("console/tail.js"),
    ],
    "LOGIN": {"form": "cloud.console.signing_in.SignInForm"},
    "DASHBOARD_CALLBACK": "cloud.console.dashboard.dashboard",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": True,
        "navigation": "cloud.console.navigation.navigation",
    },
    "COMMAND": {"search_models": False},
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
}

# A migration that waits for a lock makes every call wait behind it: it gives up instead (ADR 0011).
OWNER_OPTIONS = {"options": "-c lock_timeout=5s"}

# Whose X-Forwarded-For is believed: what ends TLS in front. Networks with commas; nobody by default.
TRUSTED_PROXIES = client_address.networks_parse(os.environ.get("ROPEWAY_TRUSTED_PROXIES", ""))

# Who may read /metrics; empty: this machine only.
METRICS_TOKEN = os.environ.get("ROPEWAY_METRICS_TOKEN", "")

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"event": {"()": "cloud.config.log_lines.EventFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "event"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("ROPEWAY_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "daphne": {"level": "WARNING"},
        # They tell every request, with its whole URL.
        "httpx": {"level": "WARNING"},
        "mcp": {"level": "WARNING"},
    },
}

"""A PostgreSQL URL as Django's settings. Deliberately nothing but that. Tests: tests/unit/cloud/config/."""

from typing import Any

from psycopg import conninfo

ENGINE = "cloud.tenancy.backend"


def database_from_url(url: str, **settings: Any) -> dict[str, Any]:
    """The DATABASES entry behind a libpq URL; its further parameters become OPTIONS, `settings` are laid over it."""
    parameters: dict[str, Any] = dict(conninfo.conninfo_to_dict(url))
    options = settings.pop("OPTIONS", {})
    database = {
        "ENGINE": ENGINE,
        "NAME": parameters.pop("dbname", ""),
        "USER": parameters.pop("user", ""),
        "PASSWORD": parameters.pop("password", ""),
        "HOST": parameters.pop("host", ""),
        "PORT": str(parameters.pop("port", "")),
        "OPTIONS": {**parameters, **options},
    }
    return {**database, **settings}


def url_from_database(database: dict[str, Any]) -> str:
    """The libpq connection string behind a DATABASES entry, for a connection outside Django: one that listens."""
    options = {name: str(value) for name, value in database["OPTIONS"].items() if isinstance(value, str | int)}
    named: dict[str, str] = {
        "dbname": database["NAME"],
        "user": database["USER"],
        "password": database["PASSWORD"],
        "host": database["HOST"],
        "port": database["PORT"],
    }
    return conninfo.make_conninfo(**{name: value for name, value in named.items() if value}, **options)

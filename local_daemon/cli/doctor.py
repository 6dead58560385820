"""`ropeway doctor`: whether this machine has what a daemon needs, one line a check. Repairs nothing.

Each check tries the thing itself where that is cheap. Tests: tests/integration/daemon/test_doctor.py.
"""

import asyncio
import fcntl
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from local_daemon.cli import options, shell_environment
from local_daemon.cli.exit_codes import ExitCode
from local_daemon.client import address, http
from local_daemon.client.errors import DaemonUnreachable
from local_daemon.config import environment_file, settings
from local_daemon.config import home as homes
from local_daemon.executors import port, registry
from local_daemon.identity import places
from local_daemon.protocol import errors, messages, states
from local_daemon.service import supervision
from local_daemon.worktrees import room

_DISK_BYTES_MIN = 1024**3
_CLOCK_SLACK_S = 5.0
_STOPPING = (states.BudgetHold.LIVE, states.BudgetHold.ITSELF)
_RELEASED_AT = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that stands before this release is wrong."""


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
    checks = [
        _home(home),
        _permissions(home),
        _copied(home),
        _settings(home),
        _disk(home),
        _worktrees(home),
        _clock(home),
        _socket(home),
        *_daemon_and_executors(home),
    ]
    is_ready = all(check.ok for check in checks if check.required)
    document = {"ok": is_ready, "checks": [asdict(check) for check in checks]}
    lines = [f"{'ok  ' if check.ok else 'MISS' if check.required else 'no  '} {check.name}: {check.detail}"
             for check in checks]  # fmt: skip
    options.show(document, as_json=as_json, lines=lines)
    raise click.exceptions.Exit(ExitCode.OK if is_ready else ExitCode.NOT_READY)


def _place(home: homes.Home) -> Path:
    """The home, or as much of the way to it as there is."""
    return next(path for path in (home.root, *home.root.parents) if path.exists())


def _home(home: homes.Home) -> Check:
    """A file is written, locked and removed there: what the record needs, and some network file systems lack."""
    place = _place(home)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Check(name="home", ok=False, detail=f"{home.root} can't be written in: {error.strerror}")
    if place == home.root and place.stat().st_uid != os.getuid():
        return Check(name="home", ok=False, detail=f"{home.root} is not yours")
    return Check(name="home", ok=True, detail=str(home.root))


def _permissions(home: homes.Home) -> Check:
    wide = [
        path.name
        for path in (home.root, *home.secret_files)
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if wide:
        detail = f"others may read {', '.join(wide)}; the next start of the daemon closes them"
        return Check(name="permissions", ok=False, detail=detail)
    return Check(name="permissions", ok=True, detail="only you can read the record and the keys")


def _copied(home: homes.Home) -> Check:
    try:
        if home.root.is_dir():
            places.place_check(home)
    except places.HomeCopied as error:
        return Check(name="identity", ok=False, detail=errors.said(error))
    return Check(name="identity", ok=True, detail="this home's own" if home.identity.exists() else "made on first use")


def _settings(home: homes.Home) -> Check:
    try:
        registry.registry_build(os.environ, settings.settings_read(home.settings))
        environment_file.environment_read(home.environment)
    except settings.SettingsInvalid as error:
        return Check(name="settings", ok=False, detail=str(error))
    return Check(name="settings", ok=True, detail="valid" if home.settings.exists() else "the defaults")


def _disk(home: homes.Home) -> Check:
    free = shutil.disk_usage(_place(home)).free
    return Check(name="disk", ok=free >= _DISK_BYTES_MIN, detail=f"{free / 1024**3:.1f} GiB free")


def _worktrees(home: homes.Home) -> Check:
    """What the worktrees take of what they may."""
    used = sum(room.sizes_bytes((home.worktrees, home.spares)).values()) / 1024**3
    try:
        bytes_max = settings.settings_read(home.settings).worktrees.bytes_max
    except settings.SettingsInvalid:
        bytes_max = settings.Worktrees().bytes_max
    if not bytes_max:
        return Check(name="worktrees", ok=True, detail=f"{used:.1f} GiB, without a limit")
    detail = f"{used:.1f} of {bytes_max / 1024**3:.1f} GiB"
    if used * 1024**3 >= bytes_max:
        detail += ": nothing begins before there is room; `ropeway gc --dry-run` says what stays and why"
        return Check(name="worktrees", ok=False, detail=detail)
    return Check(name="worktrees", ok=True, detail=detail)


def _clock(home: homes.Home) -> Check:
    """Against this release, and against the clock that stamps the home's files."""
    now = datetime.now(UTC)
    if now < _RELEASED_AT:
        return Check(name="clock", ok=False, detail=f"it says {now:%Y-%m-%d}, before this version was made")
    try:
        with tempfile.TemporaryFile(dir=_place(home)) as file:
            apart_s = abs(os.fstat(file.fileno()).st_mtime - time.time())
    except OSError:
        apart_s = 0.0  # That nothing can be written there is a check of its own.
    if apart_s > _CLOCK_SLACK_S:
        return Check(name="clock", ok=False, detail=f"the home's file system is {apart_s:.0f} s apart from it")
    return Check(name="clock", ok=True, detail=f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _socket(home: homes.Home) -> Check:
    """Whether somebody answers on the socket, or one could be made there."""
    path = home.socket
    if not path.exists():
        return Check(name="socket", ok=True, detail=f"{path}, made by the daemon")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return Check(
                name="socket", ok=True, detail=f"{path}, left by a daemon that was killed; the next one takes it"
            )
        except OSError as error:
            return Check(name="socket", ok=False, detail=f"{path}: {error.strerror or 'no answer'}")
    return Check(name="socket", ok=True, detail=f"{path}, answered")


def _daemon_and_executors(home: homes.Home) -> Iterator[Check]:
    executors = _registry(home)
    found = asyncio.run(executors.availabilities())
    daemon, instance = _daemon(home)
    yield daemon
    if instance is not None:
        yield from _environment(home, instance, executors, found)
    # `patch` is git itself, without which no worktree can be made.
    yield _executor("git", found["patch"], required=True)
    seen = {} if instance is None else {each.name: each for each in instance.executors}
    for name, availability in found.items():
        if not name.startswith("fake-"):
            by_daemon = None if availability.is_available else seen.get(name)
            check = _executor(f"executor {name}", availability, by_daemon, required=name == "patch")
            yield replace(check, detail=check.detail + _budgets(executors.budgets(name))) if check.ok else check


def _daemon(home: homes.Home) -> tuple[Check, messages.InstanceView | None]:
    try:
        named = address.address_read(home)
        with http.connect(home) as client:
            instance = client.call("instance.get", messages.InstanceView)
    except DaemonUnreachable:
        detail = "not running; `ropeway submit` starts it"
        return Check(name="daemon", ok=False, detail=detail, required=False), None
    except errors.RopewayError as error:
        return Check(name="daemon", ok=False, detail=error.detail), None
    # Read before it answered: its address goes when it stops. None where it began just then.
    process = "" if named is None else f", process {named.pid}"
    detail = f"{instance.instance_id}, version {instance.version}{process}"
    return Check(name="daemon", ok=True, detail=detail, required=False), instance


def _environment(
    home: homes.Home,
    instance: messages.InstanceView,
    executors: registry.Registry,
    found: Mapping[str, port.Availability],
) -> Iterator[Check]:
    """Whether executors get from the daemon what they would get from this shell."""
    try:
        lacks = shell_environment.shortfall_find(home, instance, executors=executors, found=found, shell=os.environ)
    except settings.SettingsInvalid:
        return  # A check of its own.
    if lacks is None:
        return
    if lacks.is_none:
        detail = "the daemon has what executors would be given of this shell"
    else:
        supervisor = supervision.Supervisor(os.environ)
        detail = shell_environment.shortfall_told(home, lacks, supervisor=supervisor)
    yield Check(name="environment", ok=lacks.is_none, detail=detail, required=False)


def _executor(
    name: str, found: port.Availability, by_daemon: messages.ExecutorView | None = None, *, required: bool
) -> Check:
    """As this shell finds it, else as the daemon does."""
    if by_daemon is not None and by_daemon.is_available:
        detail = f"{by_daemon.version or 'ready'}, by the daemon's PATH, not by this shell's"
        return Check(name=name, ok=True, detail=detail, required=required)
    is_there = found.is_available
    detail = ", but ".join(filter(None, (found.version or "ready", found.reason))) if is_there else found.reason
    return Check(name=name, ok=is_there, detail=detail, required=required)


def _budgets(held: port.Budgets | None) -> str:
    """What of a budget can't stop it while it works."""
    if held is None:
        return ""
    loose = [word for word, hold in (("tokens", held.tokens), ("dollars", held.cost_usd)) if hold not in _STOPPING]
    return f"; a budget of {' or '.join(loose)} can't stop it while it works" if loose else ""


def _registry(home: homes.Home) -> registry.Registry:
    try:
        return registry.registry_build(os.environ, settings.settings_read(home.settings))
    except settings.SettingsInvalid:
        return registry.registry_build(os.environ)  # What is wrong with the settings is a check of its own.

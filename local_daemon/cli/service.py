"""`ropeway service …`: the daemon started at login and kept running by systemd or launchd.

Tests: tests/integration/daemon/test_service.py.
"""

import asyncio
import os
from collections.abc import Iterator

import click

from local_daemon.cli import options, shell_environment
from local_daemon.cli.exit_codes import ExitCode
from local_daemon.config import environment_file, settings
from local_daemon.config import home as homes
from local_daemon.executors import registry
from local_daemon.service import supervision


@click.group()
def service() -> None:
    """The daemon as a service of your account: started at login, kept running."""


@service.command("install")
@click.option("--print", "is_printed", is_flag=True, help="Only print what would be written.")
@options.json_option
@click.pass_obj
def service_install(home: homes.Home, *, is_printed: bool, as_json: bool) -> None:
    """Write a systemd user unit (launchd agent on macOS), and start the daemon by it.

    Installing again brings it up to date, as after moving to another Python or PATH."""
    supervisor = supervision.Supervisor(os.environ)
    try:
        drain_timeout_s = settings.settings_read(home.settings).stopping.drain_timeout_s
    except settings.SettingsInvalid as error:
        raise click.ClickException(str(error)) from error
    text = supervisor.text(home, drain_timeout_s=drain_timeout_s)
    if is_printed:
        options.show({"file": str(supervisor.file), "content": text}, as_json=as_json, lines=[text.rstrip()])
        return
    home.prepare()
    if not supervisor.file.exists():
        _alone_require(home)
    is_at_work = asyncio.run(supervisor.install(text))
    _status_show(supervisor, as_json=as_json)
    if is_at_work:
        options.tell(["The daemon that runs is started anew once what it is at work on has ended."], err=True)
    _lacks_tell(home)


@service.command("uninstall")
@options.json_option
@click.pass_obj
def service_uninstall(home: homes.Home, *, as_json: bool) -> None:
    """Stop the service, letting its steps finish, and remove it; the record stays.

    While a daemon is at work it is stopping only: uninstall once more when that has ended."""
    supervisor = supervision.Supervisor(os.environ)
    is_at_work = asyncio.run(supervisor.uninstall())
    document = {"file": str(supervisor.file), "is_installed": is_at_work}
    options.show(document, as_json=as_json, lines=["Stopping." if is_at_work else "Removed."])
    if is_at_work:
        told = "The daemon that runs stops once what it is at work on has ended; uninstall once more then."
        options.tell([f"{told} At the next login it is not started."], err=True)


@service.command("status")
@options.json_option
@click.pass_obj
def service_status(home: homes.Home, *, as_json: bool) -> None:
    """Say whether the service is installed and running."""
    status = _status_show(supervision.Supervisor(os.environ), as_json=as_json)
    if not status.is_installed:
        raise click.exceptions.Exit(ExitCode.NOT_READY)


@service.command("environment")
@click.option("--keep", "kept", multiple=True, metavar="NAME", help="Keep this variable, with the value it has here.")
@click.option("--forget", "forgotten", multiple=True, metavar="NAME", help="Keep this variable no longer.")
@options.json_option
@click.pass_obj
def service_environment(home: homes.Home, *, kept: tuple[str, ...], forgotten: tuple[str, ...], as_json: bool) -> None:
    """Keep variables of this shell, API keys above all, for a daemon that no shell starts.

    Without an option, list the names that are kept; values are never shown. They lie in the file `environment` of the
    home, readable by you only. The daemon takes them when it starts: `ropeway service install` starts it anew."""
    try:
        variables = environment_file.environment_read(home.environment)
        if kept or forgotten:
            variables.update({name: _value(name) for name in kept})
            for name in forgotten:
                variables.pop(name, None)
            home.prepare()
            environment_file.environment_write(home.environment, variables)
            options.tell(_consequences(home, kept), err=True)
    except environment_file.NotToBeKept as problem:
        raise click.ClickException(f"What you name {problem}.") from problem
    except settings.SettingsInvalid as error:
        raise click.ClickException(str(error)) from error
    names = sorted(variables)
    document = {"file": str(home.environment), "names": names}
    options.show(document, as_json=as_json, lines=names or ["Nothing is kept."])


def _lacks_tell(home: homes.Home) -> None:
    """Say now what would be found out when the first step fails: that no key of this shell came along."""
    try:
        executors = registry.registry_build(os.environ, settings.settings_read(home.settings))
        lacks = asyncio.run(shell_environment.service_lacks(home, executors=executors, shell=os.environ))
    except settings.SettingsInvalid as error:
        raise click.ClickException(str(error)) from error
    if lacks:
        told = shell_environment.variables_told(lacks)
        command = shell_environment.keeping_command(lacks)
        options.tell([f"It has nothing of what this shell says in {told}. To give it that: `{command}`"], err=True)


def _value(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise click.ClickException(f"This shell has no {name[:100]}; export it first.")
    return value


def _consequences(home: homes.Home, kept: tuple[str, ...]) -> Iterator[str]:
    given = settings.settings_read(home.settings)
    executors = registry.registry_build(os.environ, given)
    passed = frozenset(given.executors.environment).union(*map(executors.passed_names, executors.names))
    for name in kept:
        if name not in passed:
            yield f"No executor is given {name}: name it under [executors] environment in daemon.toml, or in a profile."
    yield "The daemon takes this up when it is started next: `ropeway service install`."


def _status_show(supervisor: supervision.Supervisor, *, as_json: bool) -> supervision.Status:
    status = asyncio.run(supervisor.status())
    document = {"file": str(status.file), "is_installed": status.is_installed, "state": status.state}
    word = "installed" if status.is_installed else "not installed"
    options.show(document, as_json=as_json, lines=[f"{word}, {status.state}: {status.file}"])
    return status


def _alone_require(home: homes.Home) -> None:
    """A daemon that somebody else started holds the home, and the service could not have it."""
    try:
        with homes.run_lock(home):
            return
    except homes.HomeInUse as error:
        raise click.ClickException(
            "A daemon runs already, and the service could not have its home. End it first with `ropeway daemon stop`; "
            "what it is at work on finishes."
        ) from error

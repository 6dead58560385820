"""Executor names and what stands behind them, profile names and what they say: the only place that knows them all.

Built once at start from the operator's settings and passed along. Deliberately never substitutes: an unknown or
unavailable executor is an error, not another executor. Called by `bootstrap.py` and the CLI's `doctor`.
Tests: tests/unit/daemon/executors/test_registry.py.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from local_daemon.config import settings as daemon_settings
from local_daemon.executors import (
    acp,
    antigravity,
    claude,
    codex,
    command_line,
    fake,
    gemini,
    opencode,
    patch,
    person,
    port,
    profiles,
    qwen,
    template,
)

CLIS = (codex.CODEX, claude.CLAUDE, gemini.GEMINI, opencode.OPENCODE, qwen.QWEN)
_NOT_OF_THEMSELVES = ("fake-", patch.PatchExecutor.name, person.NAME)


class UnknownExecutor(Exception):
    """This daemon has no executor of that name; list its executors and choose one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown executor: {name}")
        self.name = name


class UnknownProfile(Exception):
    """This daemon has no profile of that name for that executor; its operator writes them in `daemon.toml`."""

    def __init__(self, name: str, *, executor: str) -> None:
        super().__init__(f"unknown profile of {executor}: {name}")
        self.name = name


class SettingsUnfit(daemon_settings.SettingsInvalid):
    """The settings name an executor or profile that can't be; correct them and start the daemon again."""


class Registry:
    """The executors of a daemon and the profiles they run with, by name."""

    def __init__(self, executors: Iterable[port.Executor], given_profiles: Iterable[profiles.Profile] = ()) -> None:
        """Raises SettingsUnfit for a name given twice and for a profile that its executor can't keep."""
        by_name: dict[str, port.Executor] = {}
        for executor in executors:
            if executor.name in by_name:
                raise SettingsUnfit(f"two executors are named {executor.name}")
            by_name[executor.name] = executor
        self._executors = MappingProxyType(by_name)
        self._profiles = MappingProxyType({profile.name: profile for profile in given_profiles})
        for profile in self._profiles.values():
            self._profile_check(profile)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(sorted(self._executors))

    @property
    def keys(self) -> tuple[str, ...]:
        """The environment names some executor is given whose values no log may show."""
        profiled = (executor for executor in self._executors.values() if isinstance(executor, port.Profiled))
        own = {key for executor in profiled for key in executor.keys}
        return tuple(sorted(own.union(*(profile.environment for profile in self._profiles.values()))))

    @property
    def programs(self) -> tuple[str, ...]:
        """What they and their profiles look for on the PATH, by name or by path."""
        own = {executor.program for executor in self._executors.values() if isinstance(executor, port.Installed)}
        of_profiles = {profile.program for profile in self._profiles.values() if profile.program is not None}
        return tuple(sorted(own | of_profiles))

    def passed_names(self, executor: str) -> frozenset[str]:
        """The names of the operator's environment that this executor is given, with any of its profiles, besides the
        usual few. Raises UnknownExecutor."""
        found = self.executor_get(executor)
        own = found.passed_names if isinstance(found, port.Profiled) else ()
        of_profiles = (profile.environment for profile in self._profiles.values() if profile.executor == executor)
        return frozenset(own).union(*of_profiles)

    def budgets(self, executor: str) -> port.Budgets | None:
        """How a budget is held with this executor; None where nothing is spent. Raises UnknownExecutor."""
        found = self.executor_get(executor)
        return found.budgets if isinstance(found, port.Profiled) else None

    def program_find(self, executor: str) -> str | None:
        """Where the program of this executor lies; None where it is not found or has none. Raises UnknownExecutor."""
        found = self.executor_get(executor)
        return found.program_find() if isinstance(found, port.Profiled) else None

    def executor_get(self, name: str) -> port.Executor:
        """The executor of that name. Raises UnknownExecutor."""
        try:
            return self._executors[name]
        except KeyError:
            raise UnknownExecutor(name) from None

    def profile_find(self, executor: str, name: str | None) -> profiles.Profile | None:
        """The profile a task asks for; without a name the one called like the executor, if there is one.
        Raises UnknownProfile, also for another executor's."""
        profile = self._profiles.get(name or executor)
        if name is not None and (profile is None or profile.executor != executor):
            raise UnknownProfile(name, executor=executor)
        return profile

    def profile_names(self, executor: str) -> tuple[str, ...]:
        """What a task for that executor may name, in order."""
        return tuple(sorted(profile.name for profile in self._profiles.values() if profile.executor == executor))

    async def version_find(self, executor: str, profile: str | None) -> str | None:
        """The version of the program that this executor runs with this profile; None where it tells none.
        Raises UnknownExecutor, UnknownProfile."""
        found = self.executor_get(executor)
        if isinstance(found, port.Versioned):
            return await found.version(self.profile_find(executor, profile))
        return self.version_seen(executor, profile)

    def version_seen(self, executor: str, profile: str | None) -> str | None:
        """The same, if it is known without asking. Raises UnknownExecutor, UnknownProfile."""
        found = self.executor_get(executor)
        if isinstance(found, port.Versioned):
            return found.version_seen(self.profile_find(executor, profile))
        return found.presence().version if isinstance(found, port.Profiled) else None

    async def presences(self) -> dict[str, port.Availability]:
        """What can be said of each at once, without waiting for a CLI to tell its version."""
        return {name: await self._presence(self._executors[name]) for name in self.names}

    async def availabilities(self) -> dict[str, port.Availability]:
        """What can be used on this machine now, all asked at once."""
        found = await asyncio.gather(*(self._executors[name].availability() for name in self.names))
        return dict(zip(self.names, found, strict=True))

    async def _presence(self, executor: port.Executor) -> port.Availability:
        if not isinstance(executor, port.Seen):
            return await executor.availability()
        # In a thread: a PATH may lead to another machine's disk, which may be slow to answer.
        return await asyncio.to_thread(executor.presence)

    def _profile_check(self, profile: profiles.Profile) -> None:
        executor = self._executors.get(profile.executor)
        if executor is None:
            raise SettingsUnfit(f"profiles.{profile.name}: there is no executor {profile.executor}")
        if profile.name in self._executors and profile.name != profile.executor:
            raise SettingsUnfit(f"profiles.{profile.name}: only a profile of {profile.name} may have that name")
        if not isinstance(executor, port.Profiled):
            raise SettingsUnfit(f"profiles.{profile.name}: {profile.executor} has no profiles")
        try:
            executor.profile_check(profile)
        except port.TaskUnsuitable as unfit:
            raise SettingsUnfit(f"profiles.{profile.name}: {unfit}") from unfit


def works_of_itself(name: str) -> bool:
    """Whether that executor does work, and needs no more than a goal for it: nothing else is ever chosen unasked."""
    return not name.startswith(_NOT_OF_THEMSELVES)


def registry_build(environ: Mapping[str, str], settings: daemon_settings.Settings | None = None) -> Registry:
    """Every executor this version knows, and the operator's. With ROPEWAY_ENV=test, ROPEWAY_FAKE_STARTS names a file in
    which each start of a fake leaves a line, so that a test can count starts across daemons and crashes.
    Raises SettingsUnfit."""
    starts = environ.get("ROPEWAY_FAKE_STARTS") if environ.get("ROPEWAY_ENV") == "test" else None
    path = environ.get("PATH")
    given = settings or daemon_settings.Settings()
    try:
        own = [template.TemplateExecutor(each, search_path=path) for each in _templates(given)]
    except template.TemplateInvalid as invalid:
        raise SettingsUnfit(str(invalid)) from invalid
    return Registry(
        [
            *fake.fakes_build(starts_file=Path(starts) if starts else None),
            patch.PatchExecutor(),
            person.PersonExecutor(),
            antigravity.AntigravityExecutor(_broker(given)),
            *(command_line.CliExecutor(cli, search_path=path) for cli in CLIS),
            *own,
            *(acp.AcpExecutor(agent, search_path=path) for agent in _agents(given)),
        ],
        _profiles(given),
    )


def _broker(given: daemon_settings.Settings) -> antigravity.Broker | None:
    written = given.antigravity
    return None if written is None else antigravity.Broker(url=written.broker, paths=written.paths)


def _templates(given: daemon_settings.Settings) -> Iterator[template.Template]:
    for name, written in given.templates.items():
        yield template.Template(
            name=name,
            command=written.command,
            input=template.Input(written.input),
            params=written.params,
            environment=written.environment,
        )


def _agents(given: daemon_settings.Settings) -> Iterator[acp.Agent]:
    for name, written in given.agents.items():
        yield acp.Agent(name=name, command=written.command, environment=written.environment)


def _profiles(given: daemon_settings.Settings) -> Iterator[profiles.Profile]:
    for name, written in given.profiles.items():
        yield profiles.Profile(
            name=name,
            executor=written.executor,
            sandbox=None if written.sandbox is None else profiles.Sandbox(written.sandbox),
            approval=None if written.approval is None else profiles.Approval(written.approval),
            model=written.model,
            budget_usd=written.budget_usd,
            environment=written.environment,
            program=written.program,
            stall_timeout_s=written.stall_timeout_s,
        )

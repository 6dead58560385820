"""Executor names and what stands behind them: the only place that knows every executor.

Built once at start and passed along. Deliberately never substitutes: an unknown or unavailable executor is an error,
not another executor. Called by `bootstrap.py`. Tests: tests/unit/daemon/executors/test_registry.py.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from local_daemon.executors import fake, patch, port


class UnknownExecutor(Exception):
    """This daemon has no executor of that name; list its executors and choose one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown executor: {name}")
        self.name = name


class Registry:
    """The executors of a daemon, by name."""

    def __init__(self, executors: Iterable[port.Executor]) -> None:
        self._executors = MappingProxyType({executor.name: executor for executor in executors})

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(sorted(self._executors))

    def executor_get(self, name: str) -> port.Executor:
        """The executor of that name. Raises UnknownExecutor."""
        try:
            return self._executors[name]
        except KeyError:
            raise UnknownExecutor(name) from None

    async def availabilities(self) -> dict[str, port.Availability]:
        """What can be used on this machine now."""
        return {name: await self._executors[name].availability() for name in self.names}


def registry_build(environ: Mapping[str, str]) -> Registry:
    """Every executor this version knows. With ROPEWAY_ENV=test, ROPEWAY_FAKE_STARTS names a file in which each start
    of a fake leaves a line, so that a test can count starts across daemons and crashes."""
    starts = environ.get("ROPEWAY_FAKE_STARTS") if environ.get("ROPEWAY_ENV") == "test" else None
    fakes = fake.fakes_build(starts_file=Path(starts) if starts else None)
    return Registry([*fakes, patch.PatchExecutor()])

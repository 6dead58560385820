"""What this shell has and the daemon has not: variables that executors would be given, and programs of theirs.

A daemon has the environment it was started with; one that a service manager or another shell started may lack keys, or
look for programs elsewhere. Names and places only, never a value. Called by `ropeway doctor` and
`ropeway service`. Tests: tests/integration/daemon/test_doctor.py, tests/integration/daemon/test_service.py.
"""

import os
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from local_daemon.config import environment_file, settings
from local_daemon.config import home as homes
from local_daemon.executors import port, registry
from local_daemon.protocol import messages
from local_daemon.service import supervision


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """`variables` maps what the daemon lacks to the executors that would be given it; `programs` maps executors that
    only this shell finds to where their programs lie; `outdated` are kept with another value than they have here."""

    variables: Mapping[str, tuple[str, ...]]
    programs: Mapping[str, str]
    outdated: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether the daemon has all that this shell has."""
        return not (self.variables or self.programs or self.outdated)


def shortfall_find(
    home: homes.Home,
    instance: messages.InstanceView,
    *,
    executors: registry.Registry,
    found: Mapping[str, port.Availability],
    shell: Mapping[str, str],
) -> Shortfall | None:
    """What the daemon lacks of this shell, for executors that one of them can use; `found` is what this shell finds.
    None where the daemon is too old to tell. Raises SettingsInvalid."""
    if instance.environment is None:
        return None
    seen = {each.name for each in instance.executors if each.is_available}
    usable = [name for name in executors.names if name in seen or found[name].is_available]
    kept = environment_file.environment_read(home.environment)
    return Shortfall(
        variables=_variables(home, usable, executors=executors, shell=shell, has=instance.environment),
        programs={
            name: os.path.dirname(program)
            for name in usable
            if name not in seen and (program := executors.program_find(name)) is not None
        },
        outdated=tuple(sorted(name for name, value in kept.items() if shell.get(name, value) != value)),
    )


async def service_lacks(
    home: homes.Home, *, executors: registry.Registry, shell: Mapping[str, str]
) -> Mapping[str, tuple[str, ...]]:
    """The variables of this shell that a service just written down will not have, with the executors found here that
    would be given them. Raises SettingsInvalid."""
    found = await executors.presences()
    has = (*supervision.WRITTEN_NAMES, *environment_file.environment_read(home.environment))
    usable = [name for name, each in found.items() if each.is_available]
    return _variables(home, usable, executors=executors, shell=shell, has=has)


def _variables(
    home: homes.Home,
    usable: Sequence[str],
    *,
    executors: registry.Registry,
    shell: Mapping[str, str],
    has: Iterable[str],
) -> dict[str, tuple[str, ...]]:
    """What of the shell's is not among what the daemon `has`; without names where it would be given to everybody."""
    everybody = settings.settings_read(home.settings).executors.environment
    wanted = {name: executors.passed_names(name).union(everybody) for name in usable}
    there = frozenset[str]().union(*wanted.values()).intersection(name for name, value in shell.items() if value)
    return {
        variable: () if variable in everybody else tuple(name for name in usable if variable in wanted[name])
        for variable in sorted(there.difference(has))
    }


def shortfall_told(home: homes.Home, lacks: Shortfall, *, supervisor: supervision.Supervisor) -> str:
    """It in words, with the command that mends it."""
    facts = "; ".join(_facts(lacks))
    if not supervisor.file.exists():
        also = f", without the other values in {home.environment}" if lacks.outdated else ""
        return f"{facts}. `ropeway daemon stop`, and the next command from here starts one that has it{also}"
    kept = {*lacks.outdated, *(name for name in lacks.variables if name not in supervision.WRITTEN_NAMES)}
    return f"{facts}. Give it what this shell has: `{keeping_command(kept)}`"


def keeping_command(names: Collection[str]) -> str:
    """What gives these variables to the service."""
    options = " ".join(f"--keep {shlex.quote(name)}" for name in sorted(names))
    install = "ropeway service install"
    return f"ropeway service environment {options} && {install}" if names else install


def variables_told(variables: Mapping[str, tuple[str, ...]]) -> str:
    """Their names, each with who would be given it."""
    return ", ".join(f"{name} ({', '.join(who)})" if who else name for name, who in variables.items())


def _facts(lacks: Shortfall) -> Iterator[str]:
    if lacks.variables:
        yield f"the daemon lacks {variables_told(lacks.variables)}"
    for name, folder in lacks.programs.items():
        yield f"the daemon can't use {name}, which this shell finds in {folder}"
    if lacks.outdated:
        yield f"kept for the daemon with another value than here: {', '.join(lacks.outdated)}"

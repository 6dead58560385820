"""What this shell has and the daemon has not: variables that executors would be given, and programs of theirs.

A daemon has the environment it was started with; one that a service manager or another shell started may lack keys, or
look for programs elsewhere. Names and places only, never a value. Called by `ropeway doctor`.
Tests: tests/integration/daemon/test_doctor.py.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
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
    everybody = settings.settings_read(home.settings).executors.environment
    wanted = {name: executors.passed_names(name).union(everybody) for name in usable}
    missing = sorted(
        frozenset[str]().union(*wanted.values()).intersection(name for name, value in shell.items() if value)
        - set(instance.environment)
    )
    kept = environment_file.environment_read(home.environment)
    return Shortfall(
        variables={
            variable: () if variable in everybody else tuple(name for name in usable if variable in wanted[name])
            for variable in missing
        },
        programs={
            name: os.path.dirname(program)
            for name in usable
            if name not in seen and (program := executors.program_find(name)) is not None
        },
        outdated=tuple(sorted(name for name, value in kept.items() if shell.get(name, value) != value)),
    )


def shortfall_told(home: homes.Home, lacks: Shortfall, *, supervisor: supervision.Supervisor) -> str:
    """It in words, with the command that mends it."""
    facts = "; ".join(_facts(lacks))
    if not supervisor.file.exists():
        also = f", without the other values in {home.environment}" if lacks.outdated else ""
        return f"{facts}. `ropeway daemon stop`, and the next command from here starts one that has it{also}"
    kept = sorted({*lacks.outdated, *(name for name in lacks.variables if name not in supervision.WRITTEN_NAMES)})
    commands = ["ropeway service install"]
    if kept:
        options = " ".join(f"--keep {shlex.quote(name)}" for name in kept)
        commands.insert(0, f"ropeway service environment {options}")
    return f"{facts}. Give it what this shell has: `{' && '.join(commands)}`"


def _facts(lacks: Shortfall) -> Iterator[str]:
    if lacks.variables:
        named = (f"{name} ({', '.join(who)})" if who else name for name, who in lacks.variables.items())
        yield f"the daemon lacks {', '.join(named)}"
    for name, folder in lacks.programs.items():
        yield f"the daemon can't use {name}, which this shell finds in {folder}"
    if lacks.outdated:
        yield f"kept for the daemon with another value than here: {', '.join(lacks.outdated)}"

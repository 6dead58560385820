"""What a service manager is told about the daemon: a systemd user unit, or a launchd agent.

Pure text. The environment of a service is bare, so the PATH on which the operator's executors lie is written down.
Called by `supervision`. Tests: tests/unit/daemon/service/test_units.py.
"""

import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SETTLING_S = 30
"""What the daemon needs to stop besides what its steps may take."""
_WORD = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_REFUSED_EXIT = 30
_FULL_DISK_EXIT = 40
_FULL_DISK_WAIT_S = 15
"""So long that a daemon that finds no room is never started often enough for the manager to give it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A daemon as a service: how it is started, in which environment, and how long it may take to drain."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    drain_timeout_s: float

    @property
    def stop_timeout_s(self) -> int:
        """How long to wait before the daemon is killed."""
        return int(self.drain_timeout_s) + _SETTLING_S


def systemd_unit(service: Service) -> str:
    """The user unit. `mixed`: SIGTERM reaches the daemon alone, which lets its steps finish; what is left is killed."""
    command = " ".join(_systemd_word(word) for word in service.argv)
    environment = "".join(
        f"Environment={_systemd_word(f'{name}={value}')}\n" for name, value in service.environment.items()
    )
    return f"""\
# Written by `ropeway service install`; `ropeway service uninstall` removes it.
[Unit]
Description=Ropeway daemon
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
{environment}KillMode=mixed
TimeoutStopSec={service.stop_timeout_s}
Restart=on-failure
RestartSec=2
RestartPreventExitStatus={_REFUSED_EXIT}
ExecStopPost=/bin/sh -c '[ "$$EXIT_STATUS" != {_FULL_DISK_EXIT} ] || exec sleep {_FULL_DISK_WAIT_S}'
UMask=0077

[Install]
WantedBy=default.target
"""


def launchd_agent(service: Service, *, label: str) -> bytes:
    """The agent's property list."""
    return plistlib.dumps(
        {
            "Label": label,
            "ProgramArguments": list(service.argv),
            "EnvironmentVariables": dict(service.environment),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 5,
            "ExitTimeOut": service.stop_timeout_s,
            "ProcessType": "Background",
            "StandardOutPath": str(service.log),
            "StandardErrorPath": str(service.log),
            "Umask": 0o077,
        }
    )


def _systemd_word(word: str) -> str:
    """One word of a unit file, in which %, $, quotes and backslashes mean something."""
    if _WORD.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return f'"{escaped}"'

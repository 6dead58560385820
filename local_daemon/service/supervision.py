"""Handing the daemon to the service manager of this machine, and taking it back. For the operator's own account only.

The one place that speaks to systemctl and launchctl. What could not be done is said with what they said. Called by
`ropeway service`. Tests: tests/integration/daemon/test_service.py.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local_daemon.config import home as homes
from local_daemon.processes import children, command
from local_daemon.service import errors, units

_UNIT = "ropeway.service"
_ENABLED_BY = "default.target.wants"
"""Where `systemctl enable` puts its link, beside the unit."""
_LABEL = "dev.ropeway.daemon"
_AT_REST = frozenset({"inactive", "failed", "unknown", ""})
"""What systemd says of a service that has no process to wait for."""
_ANSWERS_WITHIN_S = 60
_OUTPUT_BYTES = 64 * 1024
WRITTEN_NAMES = ("PATH", "LANG", "SSL_CERT_FILE", "HTTPS_PROXY", "NO_PROXY")
"""What of the operator's environment is written down with the service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Whether the service is written down, and what its manager says of it."""

    file: Path
    is_installed: bool
    state: str


class Supervisor:
    """The service manager of this machine: launchd on macOS, systemd elsewhere."""

    def __init__(self, environment: Mapping[str, str], *, platform: str = sys.platform) -> None:
        """`environment` is the operator's: it names the home directory and the way to the manager."""
        self._environment = environment
        self._is_launchd = platform == "darwin"

    @property
    def file(self) -> Path:
        """Where the service is written down."""
        home = Path(self._environment.get("HOME") or "~").expanduser()
        if self._is_launchd:
            return home / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
        configuration = self._environment.get("XDG_CONFIG_HOME")
        return (Path(configuration) if configuration else home / ".config") / "systemd" / "user" / _UNIT

    def text(self, home: homes.Home, *, drain_timeout_s: float) -> str:
        """The file's content for the daemon of this home."""
        service = units.Service(
            # -P: nothing that lies where the daemon is started becomes one of its modules.
            argv=(sys.executable, "-P", "-m", "local_daemon.cli", "--home", str(home.root), "daemon"),
            environment={name: self._environment[name] for name in WRITTEN_NAMES if self._environment.get(name)},
            log=home.log,
            drain_timeout_s=drain_timeout_s,
        )
        if self._is_launchd:
            return units.launchd_agent(service, label=_LABEL).decode("utf-8")
        return units.systemd_unit(service)

    async def install(self, text: str) -> bool:
        """Write the service down and start it, now and at every login; whether a daemon that runs has to end what it is
        at work on first. Raises ServiceRefused; then all is as before."""
        before = self.file.read_text() if self.file.exists() else None
        self.file.parent.mkdir(parents=True, exist_ok=True)
        homes.private_write(self.file, text)
        try:
            return await self._start()
        except errors.ServiceRefused as refusal:
            await self._take_back(before)
            left = "Nothing was installed." if before is None else "What was installed before is there again."
            raise errors.ServiceRefused(f"{refusal} {left}") from refusal

    async def uninstall(self) -> bool:
        """Stop the service and forget it; whether a daemon that runs has to end what it is at work on first. Raises
        ServiceRefused where the manager did not stop it; it is forgotten even so."""
        try:
            return await self._stop()
        except errors.ServiceRefused as refusal:
            self._forget()
            raise errors.ServiceRefused(
                f"{refusal} {self.file.name} was removed even so, and starts nothing at the next login; a daemon that "
                "it started runs on until `ropeway daemon stop`."
            ) from refusal

    async def status(self) -> Status:
        """How the service stands. Raises ServiceRefused where there is no manager to ask."""
        if self._is_launchd:
            answer = await self._ask("launchctl", "print", self._domain_label, accepted=None)
            state = next((line.partition("=")[2].strip() for line in answer.splitlines() if "state =" in line), "")
        else:
            state = await self._systemd_state()
        return Status(file=self.file, is_installed=self.file.exists(), state=state or "not loaded")

    async def _start(self) -> bool:
        if self._is_launchd:
            await self._ask("launchctl", "bootout", self._domain_label, accepted=None)
            await self._ask("launchctl", "bootstrap", self._domain, str(self.file))
            return False
        await self._ask("systemctl", "--user", "daemon-reload")
        await self._ask("systemctl", "--user", "enable", _UNIT)
        if await self._systemd_state() in _AT_REST:
            await self._ask("systemctl", "--user", "restart", _UNIT)
            return False
        # systemd waits for the steps at work, which takes as long as they do; nobody else has to.
        await self._ask("systemctl", "--user", "restart", "--no-block", _UNIT)
        return True

    async def _stop(self) -> bool:
        if self._is_launchd:
            await self._ask("launchctl", "bootout", self._domain_label, accepted=None)
            self._forget()
            return False
        if not self.file.exists():
            return False
        await self._ask("systemctl", "--user", "disable", _UNIT)
        is_running = await self._systemd_state() not in _AT_REST
        if is_running:
            await self._ask("systemctl", "--user", "stop", "--no-block", _UNIT)
        self._forget()
        if not is_running:
            # Not while it stops: systemd would forget, with the file, how long its steps may take, and kill them.
            await self._ask("systemctl", "--user", "daemon-reload")
        return is_running

    async def _systemd_state(self) -> str:
        return (await self._ask("systemctl", "--user", "is-active", _UNIT, accepted=None)).strip()

    async def _take_back(self, before: str | None) -> None:
        """As it was before an install that failed, as far as the manager does anything at all."""
        with contextlib.suppress(errors.ServiceRefused):
            if before is None:
                await self._stop()
            else:
                homes.private_write(self.file, before)
                await self._start()
        if before is None:
            self._forget()

    def _forget(self) -> None:
        """What is written down goes, and what `enable` made of it, also where no manager is there to do that."""
        self.file.unlink(missing_ok=True)
        if not self._is_launchd:
            (self.file.parent / _ENABLED_BY / _UNIT).unlink(missing_ok=True)

    @property
    def _domain(self) -> str:
        return f"gui/{os.getuid()}"

    @property
    def _domain_label(self) -> str:
        return f"{self._domain}/{_LABEL}"

    async def _ask(self, *words: str, accepted: tuple[int, ...] | None = (0,)) -> str:
        """What the manager answers. Raises ServiceRefused for an exit code that isn't accepted (None: any is)."""
        try:
            done = await command.run_command(
                words,
                cwd=Path("/"),
                env=self._environment,
                timeout_s=_ANSWERS_WITHIN_S,
                max_output_bytes=_OUTPUT_BYTES,
            )
        except children.LaunchFailed as error:
            raise errors.ServiceRefused(
                f"There is no {words[0]} here. The service is described by `ropeway service install --print`; "
                "give that to whatever starts programs on this machine."
            ) from error
        if accepted is not None and done.exit_code not in accepted:
            said = (done.stderr or done.stdout).decode("utf-8", errors="replace").strip().rstrip(".")
            raise errors.ServiceRefused(f"`{' '.join(words)}` ended with {done.exit_code}: {said or 'without a word'}.")
        return done.stdout.decode("utf-8", errors="replace")

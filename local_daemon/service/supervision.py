"""Handing the daemon to the service manager of this machine, and taking it back. For the operator's own account only.

The one place that speaks to systemctl and launchctl. What could not be done is said with what they said. Called by
`ropeway service`. Tests: tests/integration/daemon/test_service.py, tests/unit/daemon/service/test_supervision.py.
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
_ENDING = "deactivating"
_AT_REST = frozenset({"inactive", "failed", "unknown"})
"""What systemd says of a service that has no process to wait for."""
_STILL_ENDING = (
    "launchd takes no service whose daemon is still at work: if one is, install it again once `ropeway daemon status` "
    "finds none."
)
_ENDS_WITHIN_S = 5
"""A daemon that has nothing to finish; whoever takes longer is at work."""
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
        at work on first. Raises ServiceRefused; then the same is written down as before, and what it says is started
        anew where its manager does that."""
        before = self.file.read_text() if self.file.exists() else None
        self.file.parent.mkdir(parents=True, exist_ok=True)
        homes.private_write(self.file, text)
        try:
            return await self._start()
        except errors.ServiceRefused as refusal:
            raise errors.ServiceRefused(f"{refusal} {await self._take_back(before)}") from refusal

    async def uninstall(self) -> bool:
        """Stop the service and forget it, unless a daemon that runs has to end what it is at work on first, as far as
        its manager does not say otherwise: then it is stopping, starts no more, and stays written down; whether that is
        so. Raises ServiceRefused where the manager did not stop it; it is forgotten even so."""
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
            try:
                await self._ask("launchctl", "bootstrap", self._domain, str(self.file))
            except errors.ServiceRefused as refusal:
                raise errors.ServiceRefused(f"{refusal} {_STILL_ENDING}") from refusal
            return False
        await self._ask("systemctl", "--user", "daemon-reload")
        await self._ask("systemctl", "--user", "enable", _UNIT)
        return await self._systemd_is_slow_to("restart") and await self._systemd_state() == _ENDING

    async def _stop(self) -> bool:
        if self._is_launchd:
            await self._ask("launchctl", "bootout", self._domain_label, accepted=None)
            self._forget()
            return False
        if not self.file.exists():
            return False
        await self._ask("systemctl", "--user", "disable", _UNIT)
        if await self._systemd_is_slow_to("stop") and not await self._systemd_rests():
            # With the file systemd would forget, whenever its units are read anew, how long its steps may take.
            return True
        self._forget()
        await self._ask("systemctl", "--user", "daemon-reload")
        return False

    async def _systemd_is_slow_to(self, verb: str) -> bool:
        """Have the service stopped or restarted; whether that takes so long that only systemd should wait for it, which
        goes on with what was begun."""
        done = await self._run("systemctl", "--user", verb, _UNIT, within_s=_ENDS_WITHIN_S)
        if not done.timed_out and done.exit_code != 0:
            raise _refused(done, "systemctl", "--user", verb, _UNIT)
        return done.timed_out

    async def _systemd_state(self) -> str:
        return (await self._ask("systemctl", "--user", "is-active", _UNIT, accepted=None)).strip()

    async def _systemd_rests(self) -> bool:
        """Whether systemd says that nothing of the service runs; where it says nothing, something may."""
        try:
            return await self._systemd_state() in _AT_REST
        except errors.ServiceRefused:
            return False

    async def _take_back(self, before: str | None) -> str:
        """As it was before an install that failed, as far as the manager does anything at all; what there is now."""
        with contextlib.suppress(errors.ServiceRefused):
            if before is not None:
                homes.private_write(self.file, before)
                await self._start()
            elif await self.uninstall():
                return "Its daemon is stopping; uninstall the service once that has ended."
        return "Nothing was installed." if before is None else "What was installed before is there again."

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
        """What the manager answers. Raises ServiceRefused for none, and for an exit code that isn't accepted (None: any
        is)."""
        done = await self._run(*words, within_s=_ANSWERS_WITHIN_S)
        if done.timed_out:
            raise errors.ServiceRefused(f"`{' '.join(words)}` gave no answer within {_ANSWERS_WITHIN_S} s.")
        if accepted is not None and done.exit_code not in accepted:
            raise _refused(done, *words)
        return done.stdout.decode("utf-8", errors="replace")

    async def _run(self, *words: str, within_s: float) -> command.CompletedCommand:
        try:
            return await command.run_command(
                words,
                cwd=Path("/"),
                env=self._environment,
                timeout_s=within_s,
                max_output_bytes=_OUTPUT_BYTES,
            )
        except children.LaunchFailed as error:
            raise errors.ServiceRefused(
                f"There is no {words[0]} here. The service is described by `ropeway service install --print`; "
                "give that to whatever starts programs on this machine."
            ) from error


def _refused(done: command.CompletedCommand, *words: str) -> errors.ServiceRefused:
    said = (done.stderr or done.stdout).decode("utf-8", errors="replace").strip().rstrip(".")
    return errors.ServiceRefused(f"`{' '.join(words)}` ended with {done.exit_code}: {said or 'without a word'}.")

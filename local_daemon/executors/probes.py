"""Asking a program for its version, once for as long as it stays the same file.

Called by executors whose program may be missing or broken. Tests: tests/unit/daemon/executors/test_probes.py.
"""

import os
import shutil
import tempfile
from pathlib import Path

from local_daemon.executors import port
from local_daemon.processes import children, command, environment

_TIMEOUT_S = 15.0
_OUTPUT_BYTES_MAX = 64 * 1024
_REASON_CHARACTERS_MAX = 300


class VersionProbe:
    """Runs `program arguments…` and takes the first line it prints for its version."""

    def __init__(self, program: str, *arguments: str) -> None:
        self._program = program
        self._arguments = arguments
        self._seen: tuple[str, int, int] | None = None
        self._availability = port.Availability(status=port.AvailabilityStatus.MISSING)

    async def availability(self) -> port.Availability:
        """Whether the program answers, by a run of it or from memory while its file is unchanged."""
        path = shutil.which(self._program)
        if path is None:
            self._seen = None
            return port.Availability(
                status=port.AvailabilityStatus.MISSING, reason=f"{self._program} is not on the daemon's PATH"
            )
        stat = os.stat(path)
        identity = (path, stat.st_mtime_ns, stat.st_size)
        if identity != self._seen:
            self._availability = await self._probe(path)
            self._seen = identity
        return self._availability

    async def _probe(self, path: str) -> port.Availability:
        try:
            completed = await command.run_command(
                (path, *self._arguments),
                cwd=Path(tempfile.gettempdir()),
                env=environment.environment_select(os.environ),
                timeout_s=_TIMEOUT_S,
                max_output_bytes=_OUTPUT_BYTES_MAX,
            )
        except children.LaunchFailed as error:
            return port.Availability(status=port.AvailabilityStatus.UNUSABLE, reason=str(error))
        if completed.timed_out or completed.exit_code != 0:
            said = completed.stderr.decode("utf-8", errors="replace").strip()[:_REASON_CHARACTERS_MAX]
            reason = "does not answer" if completed.timed_out else f"exit code {completed.exit_code}: {said}"
            return port.Availability(status=port.AvailabilityStatus.UNUSABLE, reason=f"{self._program}: {reason}")
        version = completed.stdout.decode("utf-8", errors="replace").strip().partition("\n")[0]
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE, version=version)

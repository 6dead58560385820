"""Asking a program for its version, once for as long as it stays the same file, and other short questions.

Called by executors whose program may be missing or broken. Tests: tests/unit/daemon/executors/test_probes.py.
"""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from local_daemon.executors import port
from local_daemon.processes import children, command, environment

_TIMEOUT_S = 15.0
_OUTPUT_BYTES_MAX = 64 * 1024
_REASON_CHARACTERS_MAX = 300
_VERSION_CHARACTERS_MAX = 100
_Identity = tuple[str, int, int, int, int, int]
_VERSION = re.compile(r"(?<![\d.])(\d+(?:\.\d+)+)")


class VersionProbe:
    """Runs `program arguments…` and takes the first line it prints for its version."""

    def __init__(
        self, program: str, *arguments: str, minimum: tuple[int, ...] = (), search_path: str | None = None
    ) -> None:
        """`minimum` is the oldest version that will do; `search_path` stands for the daemon's PATH."""
        self._program = program
        self._arguments = arguments
        self._minimum = minimum
        self._search_path = search_path
        self._seen: _Identity | None = None
        self._availability = port.Availability(status=port.AvailabilityStatus.MISSING)

    async def availability(self) -> port.Availability:
        """Whether the program answers, by a run of it or from memory while its file is unchanged."""
        identity = await asyncio.to_thread(self._identity)  # A PATH may lead to another machine's disk.
        if identity is None:
            self._seen = None
            return self._missing()
        # What failed may have lacked something beside itself, an interpreter perhaps, that is there by now.
        if identity != self._seen or self._availability.status is port.AvailabilityStatus.UNUSABLE:
            self._availability = await self._probe(identity[0])
            self._seen = identity
        return self._availability

    def presence(self) -> port.Availability:
        """What is remembered of the program, else whether it is on the PATH; starts nothing."""
        identity = self._identity()
        if identity is None:
            return self._missing()
        if identity == self._seen:
            return self._availability
        return port.Availability(
            status=port.AvailabilityStatus.AVAILABLE, reason="its version has not been asked yet", is_asked=False
        )

    def find(self) -> str | None:
        """Where the program lies now; None where it is not found."""
        return shutil.which(self._program, path=self._search_path)

    async def exits_well(self, *arguments: str, passed_names: Collection[str] = ()) -> bool:
        """Whether `program arguments…` ends with exit code 0; asked anew each time."""
        path = await asyncio.to_thread(self.find)
        if path is None:
            return False
        try:
            completed = await _run(path, *arguments, passed_names=passed_names)
        except children.LaunchFailed:
            return False
        return completed.exit_code == 0 and not completed.timed_out

    def _missing(self) -> port.Availability:
        return port.Availability(
            status=port.AvailabilityStatus.MISSING, reason=f"{self._program} is not on the daemon's PATH"
        )

    def _identity(self) -> _Identity | None:
        """What changes with the file; None where there is none. Its inode and the time of its last change too: npm
        gives every file it installs the same time, and a launcher may keep its size from one version to the next."""
        path = self.find()
        try:
            stat = None if path is None else os.stat(path)
        except OSError:
            stat = None  # Removed since it was found.
        if path is None or stat is None:
            return None
        return (path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    async def _probe(self, path: str) -> port.Availability:
        try:
            completed = await _run(path, *self._arguments)
        except children.LaunchFailed as error:
            return port.Availability(status=port.AvailabilityStatus.UNUSABLE, reason=str(error))
        if completed.timed_out or completed.exit_code != 0:
            said = completed.stderr.decode("utf-8", errors="replace").strip()[:_REASON_CHARACTERS_MAX]
            reason = "does not answer" if completed.timed_out else f"exit code {completed.exit_code}: {said}"
            return port.Availability(status=port.AvailabilityStatus.UNUSABLE, reason=f"{self._program}: {reason}")
        line = completed.stdout.decode("utf-8", errors="replace").strip().partition("\n")[0]
        # It goes on record and to terminals: one short line of what can be shown.
        version = "".join(character for character in line if character.isprintable())[:_VERSION_CHARACTERS_MAX]
        if _numbers(version) < self._minimum:
            wanted = ".".join(map(str, self._minimum))
            return port.Availability(
                status=port.AvailabilityStatus.OUTDATED,
                reason=f"{version or self._program} is older than {wanted}",
                version=version,
            )
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE, version=version)


async def _run(path: str, *arguments: str, passed_names: Collection[str] = ()) -> command.CompletedCommand:
    return await command.run_command(
        (path, *arguments),
        cwd=Path(tempfile.gettempdir()),
        env=environment.environment_select(os.environ, passed_names=passed_names),
        timeout_s=_TIMEOUT_S,
        max_output_bytes=_OUTPUT_BYTES_MAX,
    )


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.search(version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()

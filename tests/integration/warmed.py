"""A Python that has imported what its commands need, and forks for each of them.

Importing Django takes a command of the cloud a second and a half, and its work a tenth of one. Each command is still a
process of its own, with its own words, its own three streams, its own status and, where one is given, its own
environment and folder; only what all of them import is imported once. So what a module reads of its environment when
it is imported (settings, an armed failpoint) is the first one's, and what it draws then (the name by which a serving
process wakes others) is everybody's. What is tested of a start itself is started for real. Used by the operator of
tests/integration/daemon/shell.py, tests/journeys/test_cloudctl.py and the servers of tests/integration/cloud/relay.
Tests: tests/integration/test_warmed.py.
"""

import fcntl
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Self

ENDS_WITHIN_S = 120
"""Only what hangs takes so long: a busy machine is no failure."""

_MESSAGE_BYTES_MAX = 65536
_FILES_MAX = 9
_ASIDE = 100
"""Above every file that a fork is given a number for."""
_READ_ONCE = "ROPEWAY_FAILPOINT"


class Started:
    """A command at work, of which its own socket tells the process id and later the status."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = self._number()

    def wait(self, *, within_s: float = ENDS_WITHIN_S) -> int:
        """The status with which it ended, once it did; a signal's is negative. One that hangs is ended, and raises."""
        with self._told:
            if select.select([self._told], [], [], within_s)[0]:
                return self._number()
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            raise TimeoutError(f"It had not ended after {within_s:g} s, and was then, with {self._number()}.")

    def _number(self) -> int:
        told = self._told.recv(_MESSAGE_BYTES_MAX)
        assert told, "What would start it ended. Its own output says why."
        return int(told)


class Warmed:
    """One such Python. Each of `ready` is a module to import, or `module:function` to import and call."""

    def __init__(self, *ready: str, env: Mapping[str, str], cwd: Path) -> None:
        self._read_once = env.get(_READ_ONCE)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, "-m", __name__, str(theirs.fileno()), *ready]
            self._process = subprocess.Popen(
                argv, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.wait()

    def start(
        self,
        module: str,
        *arguments: str,
        files: Sequence[int],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Started:
        """Start `python -m module …`, whose files are these: its input, output and errors, and from 3 on the others."""
        assert env is None or env.get(_READ_ONCE) == self._read_once, f"{_READ_ONCE} was read when this started"
        where = None if cwd is None else str(cwd)
        message = json.dumps({"argv": [module, *arguments], "env": env, "cwd": where}).encode()
        assert len(message) <= _MESSAGE_BYTES_MAX
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._control, [message], [theirs.fileno(), *files])
        return Started(ours)

    def run(
        self,
        module: str,
        *arguments: str,
        given: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        within_s: float = ENDS_WITHIN_S,
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` of `python -m module …`, which is given its input."""
        with ExitStack() as files:
            stdin, stdout, stderr = (files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
            stdin.write(given)
            stdin.seek(0)
            streams = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
            started = self.start(module, *arguments, files=streams, env=env, cwd=cwd)
            try:
                returncode = started.wait(within_s=within_s)
            except TimeoutError as error:
                error.add_note(f"{[module, *arguments]} had said {_all_of(stdout)!r} and {_all_of(stderr)!r}")
                raise
            return subprocess.CompletedProcess([module, *arguments], returncode, _all_of(stdout), _all_of(stderr))


def _all_of(written: IO[str]) -> str:
    written.seek(0)
    return written.read()


def _serve(control: socket.socket) -> list[str]:
    """Fork for each command until nobody asks any more. Returns in each fork, with the words of its command."""
    started: dict[int, socket.socket] = {}
    some_ended, ends = socket.socketpair()
    for each in (some_ended, ends):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ends.fileno(), warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([control, some_ended], [], [])
        if some_ended in ready:
            some_ended.recv(_MESSAGE_BYTES_MAX)
            _tell_ended(started)
        if control not in ready:
            continue
        message, files, _, _ = socket.recv_fds(control, _MESSAGE_BYTES_MAX, _FILES_MAX)
        if not message:
            _end(started)
            sys.exit()
        asked = json.loads(message)
        told, files = socket.socket(fileno=files[0]), files[1:]
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (control, some_ended, ends, told, *started.values()):
                other.close()
            _take(files)
            _move(asked["env"], asked["cwd"])
            return list(asked["argv"])
        started[pid] = told
        for file in files:
            os.close(file)
        _tell(told, pid)


def _tell_ended(started: dict[int, socket.socket]) -> None:
    """Tell of each that ended by now how it did."""
    for pid in list(started):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with started.pop(pid) as told:
                _tell(told, os.waitstatus_to_exitcode(status))


def _tell(told: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # Nobody waits for this one.
        told.send(b"%d" % number)


def _take(files: Sequence[int]) -> None:
    """Give the files the numbers 0, 1, 2 and so on. They go by others in between, for they may have each other's."""
    aside = [fcntl.fcntl(file, fcntl.F_DUPFD, _ASIDE) for file in files]
    for file in files:
        os.close(file)
    for number, file in enumerate(aside):
        os.dup2(file, number)
        os.close(file)


def _move(env: Mapping[str, str] | None, cwd: str | None) -> None:
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)


def _end(started: Iterable[int]) -> None:
    """Whoever asked is gone, and waits for none of these."""
    for pid in started:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def main() -> None:
    """Be ready, then fork; and in each fork be the command."""
    for name in sys.argv[2:]:
        found = pkgutil.resolve_name(name)
        if ":" in name:
            found()
    gc.freeze()
    # Ctrl-C is for the commands, and for whoever asks for them: without, this ends by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        module, *arguments = _serve(control)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

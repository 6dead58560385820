"""A Python that has imported what its commands need, and forks for each of them.

A command of the cloud takes a second and a half to import Django and a tenth of one to do its work. Each command is
still a process of its own, with its own words, its own three streams and its own status; only what all of them import
anew is imported once. Deliberately with one environment for all: settings are read from it when they are imported.
What is tested of a start itself is started for real. Used by tests/journeys/test_cloudctl.py and by the servers of
tests/integration/cloud/relay.
"""

import fcntl
import gc
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

_MESSAGE_BYTES_MAX = 65536
_FILES_MAX = 8
_ASIDE = 100
"""Above every file that a fork is given a number for."""


class Warmed:
    """One such Python. Each of `ready` is a module to import, or `module:function` to import and call."""

    def __init__(self, *ready: str, env: Mapping[str, str], cwd: Path) -> None:
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
    ) -> int:
        """Start `python -m module …`, whose files are these: its input, output and errors, and from 3 on the others.
        Answers its process id."""
        where = None if cwd is None else str(cwd)
        message = json.dumps({"argv": [module, *arguments], "env": env, "cwd": where}).encode()
        assert len(message) <= _MESSAGE_BYTES_MAX
        socket.send_fds(self._control, [message], files)
        return int(self._told())

    def wait(self, pid: int) -> int:
        """The status with which a process that was started ended, once it did; a signal's is negative."""
        self._control.send(json.dumps({"wait": pid}).encode())
        return int(self._told())

    def run(
        self,
        module: str,
        *arguments: str,
        given: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` of `python -m module …`, which is given its input."""
        with ExitStack() as files:
            stdin, stdout, stderr = (files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
            stdin.write(given)
            stdin.seek(0)
            streams = [stdin.fileno(), stdout.fileno(), stderr.fileno()]
            pid = self.start(module, *arguments, files=streams, env=env, cwd=cwd)
            returncode = self.wait(pid)
            return subprocess.CompletedProcess([module, *arguments], returncode, _all_of(stdout), _all_of(stderr))

    def _told(self) -> bytes:
        told = self._control.recv(_MESSAGE_BYTES_MAX)
        assert told, "It ended. Its own output says why."
        return told


def _all_of(written: IO[str]) -> str:
    written.seek(0)
    return written.read()


def _serve(control: socket.socket) -> list[str]:
    """Fork for each command until nobody asks any more. Returns in each fork, with the words of its command."""
    started: set[int] = set()
    while True:
        message, files, _, _ = socket.recv_fds(control, _MESSAGE_BYTES_MAX, _FILES_MAX)
        if not message:
            _end(started)
            sys.exit()
        asked = json.loads(message)
        if "wait" in asked:
            _, status = os.waitpid(asked["wait"], 0)
            started.discard(asked["wait"])
            control.send(b"%d" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            _take(files)
            if asked["env"] is not None:
                os.environ.clear()
                os.environ.update(asked["env"])
            if asked["cwd"] is not None:
                os.chdir(asked["cwd"])
            return list(asked["argv"])
        started.add(pid)
        for file in files:
            os.close(file)
        control.send(b"%d" % pid)


def _take(files: Sequence[int]) -> None:
    """Give the files the numbers 0, 1, 2 and so on. They go by others in between, for they may have each other's."""
    aside = [fcntl.fcntl(file, fcntl.F_DUPFD, _ASIDE) for file in files]
    for file in files:
        os.close(file)
    for number, file in enumerate(aside):
        os.dup2(file, number)
        os.close(file)


def _end(started: set[int]) -> None:
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

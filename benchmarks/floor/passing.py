"""The bare way of an output: a program's pipe, read and written to whoever listens on a Unix socket.

python -m benchmarks.floor.passing SOCKET COMMAND…
"""

import os
import socket
import subprocess
import sys

_READ_BYTES = 64 * 1024


def main(path: str, command: list[str]) -> None:
    """Pass on all that the command prints."""
    with socket.socket(socket.AF_UNIX) as follower, subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        follower.connect(path)
        assert child.stdout is not None
        while found := os.read(child.stdout.fileno(), _READ_BYTES):
            follower.sendall(found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

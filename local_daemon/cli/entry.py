"""The program `ropeway` as it is installed, also where only the package's base is: the connector brings that alone.

Deliberately imports nothing that isn't in the base before it knows. Tests: tests/architecture/test_packages.py.
"""

import sys

from local_daemon.cli.exit_codes import ExitCode


def main() -> None:
    """Run the command line, or say what is missing for it."""
    try:
        from local_daemon.cli import main as command_line
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("local_daemon"):
            raise
        sys.stderr.write(
            f"ropeway: {missing.name} is missing. Only the base of ropeway-daemon is here; for the command line and "
            f"the daemon: {sys.executable} -m pip install 'ropeway-daemon[serve]'\n"
        )
        sys.exit(ExitCode.NOT_READY)
    command_line.main()

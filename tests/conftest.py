"""What every test shares: the session's database server, and an environment that is not this machine's.

What only one component's tests need is in the conftest of their folder.
"""

import contextlib
import os
import signal
import sys

import hypothesis
import pytest
from django.conf import settings

from cloud.config.embedded_postgres import EmbeddedPostgres


def pytest_configure(config: pytest.Config) -> None:
    """Set the session up, in the controller as in each of its workers."""
    _forget_git_of_this_machine()
    _heed_interrupts()
    _keep_bytecode()
    _forget_colours()
    # How long an example may take says more of the machine, which may be busy, than of what is tested.
    hypothesis.settings.register_profile("patient", deadline=None)
    hypothesis.settings.load_profile("patient")
    if "DATABASE_URL" not in os.environ:
        # The settings started it. Borrowed, it runs until the last test session of this checkout has ended.
        borrowed = contextlib.ExitStack()
        borrowed.enter_context(EmbeddedPostgres(settings.VAR / "postgres").borrowed())
        config.add_cleanup(borrowed.close)


def _heed_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so would every command that a test interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_bytecode() -> None:
    """A container's Python commonly keeps none: each of a thousand processes would compile what it imports anew."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def _forget_colours() -> None:
    """Either has everything that is printed take a pipe for a terminal."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        os.environ.pop(name, None)


def _forget_git_of_this_machine() -> None:
    """Tests must pass where nobody configured git, and inside a git hook, which points git at its own repository."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

"""Keys as they are pressed, without waiting for a line. The terminal is left as it was found, whatever happens.

Called by `watch`. Tests: tests/integration/daemon/test_watch.py.
"""

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

_READ_BYTES = 256


@contextmanager
def keys_single() -> Iterator[None]:
    """While the block lasts each key is there at once, and none is shown by itself; Ctrl-C still interrupts."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def keys_read() -> Iterator[str]:
    """What is pressed: a character each, or a whole escape sequence; ends with the terminal."""
    while pressed := _read():
        if pressed.startswith("\x1b"):
            yield pressed
        else:
            yield from pressed


def _read() -> str:
    try:
        return os.read(sys.stdin.fileno(), _READ_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""  # The terminal is gone.

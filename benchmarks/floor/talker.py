"""What an executor prints, and nothing else: lines that say when they were written, once somebody listens.

python benchmarks/floor/talker.py PIPE LINES PAUSE_MS
"""

import os
import sys
import time

LINE_BYTES = 100
_STAMP_DIGITS = 20
_REST = b" " + b"x" * (LINE_BYTES - _STAMP_DIGITS - 2) + b"\n"


def main(pipe: str, lines: int, pause_ms: float) -> None:
    """Print so many lines, each written by itself, as a program does that is followed."""
    with open(pipe, "rb"):  # Opens once somebody opens the other end.
        pass
    for _ in range(lines):
        os.write(1, b"%020d" % time.monotonic_ns() + _REST)
        if pause_ms:
            time.sleep(pause_ms / 1000)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))

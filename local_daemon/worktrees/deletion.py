"""Taking away a folder in which, or in whose place, an executor may have left anything.

Folders without permissions, and a link or a named pipe where a folder is expected: whoever follows the link changes
what lies elsewhere, and whoever opens the pipe waits for ever. Deliberately asks nobody whether it may go.
Called by whoever made what is taken away. Tests: tests/unit/daemon/worktrees/test_deletion.py.
"""

import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path


def tree_delete(place: Path) -> None:
    """Take away what stands there: a folder with everything in it, whatever permissions were left, or what is none.
    Blocking."""
    if place.is_symlink() or not place.is_dir():
        with suppress(FileNotFoundError, NotADirectoryError):
            place.unlink()
        return

    # Permissions may be gone from a file's directory or from the directory itself.
    def make_writable_and_retry(function: Callable[[str], object], name: str, _: object) -> None:
        with suppress(FileNotFoundError):
            os.chmod(os.path.dirname(name), 0o700)
            if function in (os.unlink, os.rmdir):
                function(name)
            else:
                os.chmod(name, 0o700)
                tree_delete(Path(name))

    shutil.rmtree(place, onerror=make_writable_and_retry)


def trees_delete(places: Iterable[Path]) -> None:
    """The same for each of these. Blocking."""
    for place in places:
        tree_delete(place)

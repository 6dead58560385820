"""What the operator has kept for a daemon that no shell starts: `environment` in the home, `NAME=value` a line.

A service sees none of what a shell exports. What stands here is added to what the daemon was started with, and takes
the place of nothing; which executor is given what of it is decided elsewhere. Values are never told, in errors neither.
Written by `ropeway service environment`, or by hand. Called by `bootstrap` and the CLI.
Tests: tests/unit/daemon/config/test_environment_file.py.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from local_daemon.config import home as homes
from local_daemon.config import settings

_BYTES_MAX = 64 * 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_KEPT = frozenset({"PATH", "HOME"})
_HEADER = "# Kept for the daemon of this home, which takes it when it starts. Values are secret: for you alone.\n"


class NotToBeKept(Exception):
    """A variable that can't be kept; the message says why, and never its value."""


def environment_read(path: Path) -> dict[str, str]:
    """The variables in the file by name; none where there is no file. Raises SettingsInvalid, naming the line."""
    try:
        with path.open("rb") as file:
            content = file.read(_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise settings.SettingsInvalid(f"{path.name}: {error.strerror}") from error
    if len(content) > _BYTES_MAX:
        raise settings.SettingsInvalid(f"{path.name}: longer than {_BYTES_MAX} bytes")
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise settings.SettingsInvalid(f"{path.name}: not UTF-8") from None
    variables = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, _, value = text.removeprefix("export ").lstrip().partition("=")
        try:
            variables[name] = _unquoted(value)
            _check(name, variables[name])
        except NotToBeKept as problem:
            raise settings.SettingsInvalid(f"{path.name}: line {number} {problem}") from None
    return variables


def environment_write(path: Path, variables: Mapping[str, str]) -> None:
    """The file with exactly these variables, readable by its owner only; without any, no file. Raises NotToBeKept."""
    for name, value in variables.items():
        _check(name, value)
    content = _HEADER + "".join(f'{name}="{value}"\n' for name, value in sorted(variables.items()))
    if len(content.encode("utf-8", errors="surrogateescape")) > _BYTES_MAX:
        raise NotToBeKept(f"makes the file longer than {_BYTES_MAX} bytes")
    if variables:
        homes.private_write(path, content)
    else:
        path.unlink(missing_ok=True)


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise NotToBeKept("is not NAME=value")
    if name in _NOT_KEPT:
        raise NotToBeKept(f"({name}) has no effect: it is said by whatever starts the daemon")
    if name.startswith("ROPEWAY_"):
        raise NotToBeKept(f"({name}) has no effect: it is a setting of the daemon's own")
    if not value.isprintable():
        raise NotToBeKept(f"({name}) has a value with several lines or characters that can't be written down")


def _unquoted(value: str) -> str:
    """Without one pair of quotes around it: they are a shell's, and whoever writes by hand is used to them."""
    text = value.strip()
    is_quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text

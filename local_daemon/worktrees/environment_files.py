"""Environment files (`.env`, `.env.local`, `test.env`): which they are, and the secrets in one.

Read the way the usual readers do: `export`, quotes, values of several lines, a comment behind a value. Where they
differ, both readings count, since a secret that is missed is shown. Pure; which settings are secrets is for
`processes/secrecy.py` to say. Called by `provisioning.py`.
Tests: tests/unit/daemon/worktrees/test_environment_files.py.
"""

import re
from collections.abc import Iterator

from local_daemon.processes import secrecy

_FILE = re.compile(r"\.env(\..+)?$|.+\.env$")
_SETTING = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)$", re.MULTILINE)
_QUOTED = re.compile(r"'([^']*)'|`([^`]*)`|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)
_COMMENT = re.compile(r"(?<=[ \t])#.*")
_ESCAPE = re.compile(r"\\([nrt\"\\])")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def is_environment_file(name: str) -> bool:
    """Whether a file of this name (without its folder) holds an environment."""
    return _FILE.fullmatch(name) is not None


def secrets_note(text: str, found: dict[str, str]) -> None:
    """Add the secrets of such a file to `found`, by name; a name that has another value there already gets a number. Of
    one of several lines each line counts too, as a log may indent them."""
    for name, value in _settings(text.replace("\r\n", "\n")):
        for part in dict.fromkeys((value, *value.splitlines())):
            if secrecy.is_secret(name, part):
                _note(found, name, part)
        for password in secrecy.passwords_in(value):
            _note(found, f"{name} password", password)
        for key in secrecy.keys_in(value):
            _note(found, f"{name} key", key)


def _settings(text: str) -> Iterator[tuple[str, str]]:
    # Line by line, also inside of what may be a value of several lines: a quote too many hides no setting.
    for setting in _SETTING.finditer(text):
        name, line = setting[1], setting[2].rstrip()
        quoted = _QUOTED.match(text, setting.start(2))
        if quoted is None:
            yield name, _COMMENT.sub("", line).rstrip().strip("\"'")
            yield name, line.strip("\"'")
        elif quoted[3] is None:
            yield name, quoted[1] or quoted[2] or ""
        else:
            yield name, _ESCAPE.sub(lambda found: _ESCAPED[found[1]], quoted[3])


def _note(found: dict[str, str], name: str, value: str) -> None:
    key, number = name, 1
    while found.setdefault(key, value) != value:
        number += 1
        key = f"{name} {number}"

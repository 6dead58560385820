"""`.ropeway/repository.toml`: what a repository's people agreed on, committed with the code, nothing of one machine.

Here is the file as `ropeway init` writes it, the list of its tables, and `[defaults]`, which the command line applies;
what stands in the other tables belongs to the rooms that read them. Whoever reads one refuses the file if there is a
table that nobody reads, so that a misspelt `[policy]` is not no policy. Called by the CLI, `policies` and `worktrees`.
Tests: tests/unit/daemon/config/test_repository_file.py.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from local_daemon.config import plain_files
from local_daemon.protocol import faults, specs, wire

PLACE = Path(".ropeway") / "repository.toml"
BYTES_MAX = 256 * 1024
TABLES = ("defaults", "policy", "worktree")
_DEFAULTS_HEADER = re.compile(r"^\[defaults\][ \t]*$", re.MULTILINE)
_EXECUTOR_LINE = re.compile(r"^#?[ \t]*executor[ \t]*=.*$", re.MULTILINE)

_WRITTEN = """\
# How Ropeway works in this repository. Commit this file: it holds nothing of your machine.
# An unknown key is an error, so that a misspelt one is not silently no rule at all.

[defaults]
# Who does a task that names nobody: codex, claude, gemini, opencode, qwen, or one of daemon.toml's templates.
# Without a name here or in daemon.toml, a task without one is refused: Ropeway never picks one for you.
{executor}
# How the executor is run: one of the profiles that each operator keeps in daemon.toml.
# profile = "careful"
"""


class RepositoryFileInvalid(Exception):
    """The repository's .ropeway/repository.toml is not valid; it says which line or key."""


class Defaults(wire.WireModel):
    """What a task gets that does not say it itself."""

    executor: specs.ExecutorName | None = None
    profile: specs.ExecutorName | None = None


def root_find(folder: Path) -> Path | None:
    """The repository that holds this folder, by what lies on the disk; None where there is none. A bare repository is
    its own root."""
    for place in (folder, *folder.parents):
        if (place / ".git").exists() or ((place / "HEAD").is_file() and (place / "objects").is_dir()):
            return place
    return None


def tables_parse(content: bytes) -> dict[str, Any]:
    """The tables of such a file by name, their content unchecked. Raises RepositoryFileInvalid."""
    if len(content) > BYTES_MAX:
        raise RepositoryFileInvalid(f"{PLACE}: longer than {BYTES_MAX} bytes")
    try:
        written = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RepositoryFileInvalid(f"{PLACE}: {error}") from error
    unknown = sorted(set(written) - set(TABLES))
    if unknown:
        known = ", ".join(f"[{name}]" for name in TABLES)
        raise RepositoryFileInvalid(f"{PLACE}: {', '.join(unknown)}: nothing reads this; its tables are {known}")
    return written


def defaults_read(root: Path) -> Defaults:
    """The repository's defaults; none where it has no file. Raises RepositoryFileInvalid."""
    try:
        return Defaults.model_validate(tables_parse(_read(root)).get("defaults", {}))
    except (FileNotFoundError, NotADirectoryError):
        return Defaults()
    except OSError as error:
        raise RepositoryFileInvalid(f"{PLACE}: {error.strerror}") from error
    except ValidationError as error:
        found = "; ".join(f"defaults.{item['field']}: {item['problem']}" for item in faults.field_faults(error))
        raise RepositoryFileInvalid(f"{PLACE}: {found}") from error


def file_write(root: Path, *, executor: str | None) -> bool:
    """Write the file where there is none, with `executor` as the default; answers whether it did. What is there stays
    as it is, comments included, but for a default executor that is named now. Raises RepositoryFileInvalid."""
    path = root / PLACE
    line = '# executor = "codex"' if executor is None else f'executor = "{executor}"'
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(_WRITTEN.format(executor=line), encoding="utf-8")
        return True
    if executor is None or defaults_read(root).executor == executor:
        return False
    path.write_text(_with_executor(_read(root).decode("utf-8"), line), encoding="utf-8")
    defaults_read(root)
    return True


def _read(root: Path) -> bytes:
    return plain_files.plain_read(root / PLACE, bytes_max=BYTES_MAX + 1)


def _with_executor(text: str, line: str) -> str:
    header = _DEFAULTS_HEADER.search(text)
    if header is None:
        return f"{text.rstrip()}\n\n[defaults]\n{line}\n"
    table_end = text.find("\n[", header.end())
    end = len(text) if table_end < 0 else table_end
    table = text[header.end() : end]
    changed = _EXECUTOR_LINE.sub(line, table, count=1) if _EXECUTOR_LINE.search(table) else f"\n{line}{table}"
    return text[: header.end()] + changed + text[end:]

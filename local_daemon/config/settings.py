"""The operator's settings, from `daemon.toml`: an unknown key is an error, a missing file is the defaults.

Read once at start. Tests: tests/unit/daemon/config/test_settings.py.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from local_daemon.protocol import faults, limits, policies, specs, wire

BROKER_PATTERN = r"^https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"
MODEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]{0,99}$"
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class SettingsInvalid(Exception):
    """The settings file is not valid; it says which line or key."""


class Listen(wire.WireModel):
    """Where the daemon answers: always on its Unix socket; with a port (0: any free one) on loopback too."""

    port: int | None = Field(default=None, ge=0, le=65535)


class Concurrency(wire.WireModel):
    """How many attempts run at once: on the machine, in one repository, by one executor."""

    machine: int = Field(default=4, ge=1, le=256)
    repository: int = Field(default=4, ge=1, le=256)
    executors: dict[specs.ExecutorName, Annotated[int, Field(ge=0, le=256)]] = Field(default_factory=dict)


class Executors(wire.WireModel):
    """Who does a task that names nobody (`default`; a repository's own choice goes before), and what executors may see:
    these names of the operator's environment, beside the usual few."""

    default: specs.ExecutorName | None = None
    environment: tuple[EnvironmentName, ...] = ()
    cancel_grace_s: float = Field(default=5, ge=0, le=60)


class Profile(wire.WireModel):
    """One way to run one executor (`executors/profiles.py` says what the words mean). A profile that is called like an
    executor is what a task gets that names none."""

    executor: specs.ExecutorName
    sandbox: Literal["read-only", "workspace", "off"] | None = None
    approval: Literal["never", "edits", "ask"] | None = None
    model: Annotated[str, StringConstraints(pattern=MODEL_PATTERN)] | None = None
    budget_usd: float | None = Field(default=None, gt=0, le=100_000)
    stall_timeout_s: int = Field(default=0, ge=0, le=limits.STEP_TIMEOUT_S_MAX)
    environment: tuple[EnvironmentName, ...] = ()
    program: str | None = Field(default=None, min_length=1)


class Template(wire.WireModel):
    """An executor of the operator's own: a command line with blanks, never a shell (`executors/template.py`)."""

    command: tuple[str, ...] = Field(min_length=1)
    input: Literal["nothing", "prompt", "goal"] = "nothing"
    params: dict[str, str] = Field(default_factory=dict)
    environment: tuple[EnvironmentName, ...] = ()


class Agent(wire.WireModel):
    """An executor that speaks the Agent Client Protocol (`executors/acp.py`)."""

    command: tuple[str, ...] = Field(min_length=1)
    environment: tuple[EnvironmentName, ...] = ()


class Folders(wire.WireModel):
    """How much a folder without git may hold, besides what is ignored, to be worked in."""

    files_max: int = Field(default=50_000, ge=1, le=1_000_000)
    bytes_max: int = Field(default=1024**3, ge=1, le=1024**4)


class Antigravity(wire.WireModel):
    """Where the broker of the operator's Antigravity IDE answers, and what its machine calls folders of this one, where
    they differ: Windows and WSL (`executors/antigravity.py`)."""

    broker: Annotated[str, StringConstraints(pattern=BROKER_PATTERN)]
    paths: dict[Annotated[str, StringConstraints(pattern=r"^/")], str] = Field(default_factory=dict)


class Retention(wire.WireModel):
    """How long what is kept, and how much of it. Nothing of an open run goes."""

    evidence_days: int | None = Field(default=None, ge=1)
    evidence_bytes: int | None = Field(default=None, ge=0)
    evidence_days_min: int = Field(default=7, ge=0)
    ignored_days: int | None = Field(default=14, ge=0)
    ignored_bytes: int | None = Field(default=2 * 1024**3, ge=0)
    worktrees_days: int | None = Field(default=7, ge=0)
    refs_days: int | None = Field(default=None, ge=0)
    refs_max: int | None = Field(default=None, ge=0)


class Worktrees(wire.WireModel):
    """How much of the disk all worktrees may take together; 0 is no limit."""

    bytes_max: int = Field(default=20 * 1024**3, ge=0)


class Stopping(wire.WireModel):
    """How a daemon ends that was asked to: what is at work has this long to finish, then it is left to recovery."""

    drain_timeout_s: float = Field(default=600, ge=0, le=86_400)


class Settings(wire.WireModel):
    """Everything an operator may choose."""

    listen: Listen = Listen()
    concurrency: Concurrency = Concurrency()
    executors: Executors = Executors()
    profiles: dict[specs.ExecutorName, Profile] = Field(default_factory=dict)
    templates: dict[specs.ExecutorName, Template] = Field(default_factory=dict)
    agents: dict[specs.ExecutorName, Agent] = Field(default_factory=dict)
    antigravity: Antigravity | None = None
    folders: Folders = Folders()
    retention: Retention = Retention()
    worktrees: Worktrees = Worktrees()
    stopping: Stopping = Stopping()
    policy: policies.Policy = policies.Policy()


def settings_read(path: Path) -> Settings:
    """The settings in the file, or the defaults where there is none. Raises SettingsInvalid."""
    try:
        return Settings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except OSError as error:
        raise SettingsInvalid(f"{path.name}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path.name}: {error}") from error
    except ValidationError as error:
        found = "; ".join(f"{item['field']}: {item['problem']}" for item in faults.field_faults(error))
        raise SettingsInvalid(f"{path.name}: {found}") from error

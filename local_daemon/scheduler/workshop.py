"""What attempts work with on this machine, and what is known of one while it lasts.

Made by `bootstrap`, shared by `loop`, `execution`, `conclusion` and `recovery`. Holds no state of its own.
Tests: tests/integration/daemon/.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from local_daemon.artifacts import store as artifact_store
from local_daemon.attempts import records as attempt_records
from local_daemon.attempts import selectors as attempt_selectors
from local_daemon.config import home as homes
from local_daemon.executors import port as executor_port
from local_daemon.executors import profiles as executor_profiles
from local_daemon.executors import registry as executor_registry
from local_daemon.executors.probes import VersionProbe
from local_daemon.processes import capture, children
from local_daemon.protocol import ids, specs
from local_daemon.repositories import selectors as repositories
from local_daemon.scheduler import kept_secrets, threads
from local_daemon.scheduler.meters import Meters
from local_daemon.scheduler.outputs import Outputs
from local_daemon.scheduler.places import PlaceLocks
from local_daemon.steps import records as step_records
from local_daemon.steps import selectors as step_selectors
from local_daemon.storage import database as storage_database
from local_daemon.storage.database import Connection
from local_daemon.worktrees import folders, pool, provisioning, pruning
from local_daemon.worktrees.recorders import Recorders
from local_daemon.worktrees.room import Room

ROOM_S = 5.0
"""How long to wait before trying again to put something on record: no event tells that a disk has room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """The parts an attempt needs. `worktrees` and `scratch` are directories of the daemon's home; `secrets` maps the
    names of secrets an executor gets to their values, which no log may show."""

    database: storage_database.Database
    blobs: artifact_store.BlobStore
    executors: executor_registry.Registry
    worktrees: Path
    scratch: Path
    sign: Callable[[bytes], bytes]
    public_key: str
    environment: Mapping[str, str]
    passed_names: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cancel_grace_s: float = 5.0
    places: dict[str, str] = field(default_factory=dict)  # of attempts that work where an earlier one did
    place_locks: PlaceLocks = field(default_factory=PlaceLocks)
    meters: Meters = field(default_factory=Meters)
    git_probe: VersionProbe = field(default_factory=lambda: VersionProbe("git", "--version"))
    spares: pool.Pool | None = None
    recorders: Recorders | None = None
    outputs: Outputs = field(default_factory=Outputs)
    folder_limits: folders.FolderLimits = field(default_factory=folders.FolderLimits)
    room: Room = field(default_factory=Room)

    def worktree_path(self, attempt_id: ids.AttemptId) -> Path:
        """Where the attempt works."""
        return self.worktrees / self.place_name(attempt_id)

    def place_name(self, attempt_id: ids.AttemptId) -> str:
        """What that place is called."""
        return self.places.get(attempt_id, attempt_id)

    def scratch_path(self, attempt_id: ids.AttemptId) -> Path:
        """Where the attempt's own files lie: output, outcome, what the executor was given."""
        return self.scratch / attempt_id

    def ignored_path(self, attempt_id: ids.AttemptId) -> Path:
        """Where the ignored files that the attempt left are kept. No operation reads them: they may hold anything."""
        return self.ignored_root / f"{attempt_id}.tar"

    def aside_path(self, key: str) -> Path:
        """Where the ignored files of a conversation wait between two turns, or a step's for an answer."""
        return self.ignored_root / key

    @property
    def ignored_root(self) -> Path:
        """Where all of those lie."""
        return self.home / "ignored"

    @property
    def secrets_key(self) -> Path:
        """The key of what attempts must not show, for as long as they lie in scratch."""
        return homes.Home(root=self.home).secrets_key

    @property
    def spares_path(self) -> Path:
        """Where checkouts lie that no attempt has yet."""
        return homes.Home(root=self.home).spares

    @property
    def trusted_root(self) -> Path:
        """Where git directories of ours lie."""
        return homes.Home(root=self.home).trusted

    @property
    def folders_path(self) -> Path:
        """Where the repositories of folders without git lie."""
        return homes.Home(root=self.home).folders

    @property
    def home(self) -> Path:
        """The daemon's own directory, which no log may name."""
        return self.worktrees.parent

    @property
    def operator_home(self) -> Path | None:
        """The operator's home directory, which no log may name."""
        home = self.environment.get("HOME")
        return Path(home) if home and home != os.sep else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A step this daemon works on, its newest attempt, and what it was asked."""

    step: step_records.Step
    attempt: attempt_records.Attempt
    task: specs.TaskSpec
    repository_root: Path  # where git works
    folder: Path  # the operator's own; the same, unless it is a folder without git
    begins_with: str | None = None  # the commit that an attempt left which asked; this one goes on with its files
    counts_from: str | None = None  # the commit that its changes are then told from

    def with_records(self, *, step: step_records.Step, attempt: attempt_records.Attempt) -> "Lease":
        """The same lease, its records as they are now."""
        return replace(self, step=step, attempt=attempt)

    @property
    def is_from_head(self) -> bool:
        """Whether it begins with what is checked out, and with nothing that an earlier attempt left."""
        return self.begins_with is None and self.task.base is None

    @property
    def ref(self) -> str:
        """Where git keeps what the attempt changed."""
        return f"{pruning.ROOT}/{self.step.run_id}/{self.step.step_id}/{self.attempt.attempt_id}"

    @property
    def leftover_ref(self) -> str:
        """Where git keeps what its worktree held beyond that, as checks leave it."""
        return f"{self.ref}{pruning.LEFTOVER_SUFFIX}"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How an executor came to its end. `status` is None where nobody can know; `failure` where the daemon ended it,
    lost it, or could not end all of it."""

    status: children.ExitStatus | None
    failure: specs.Failure | None = None


def lease_load(conn: Connection, attempt: attempt_records.Attempt, *, step: step_records.Step | None = None) -> Lease:
    """An attempt with its step, as it is on record unless it is at hand, what that was asked, and where."""
    step = step or step_selectors.step_load(conn, attempt.step_id)
    asked = threads.asked_find(conn, step=step, attempt=attempt)
    before = None if asked is None else attempt_selectors.attempt_get(conn, asked.attempt_id)
    repository = repositories.repository_get(conn, step.repository_id)
    return Lease(
        step=step,
        attempt=attempt,
        task=_task(conn, step),
        repository_root=repository.git_root,
        folder=repository.toplevel,
        begins_with=None if before is None else before.head_commit,
        counts_from=None if before is None else before.base_commit,
    )


def secrets_known(shop: Workshop, lease: Lease) -> dict[str, str]:
    """What no log of this attempt may show: the daemon's secrets, and the values of environment files that were brought
    into its worktree; those of now, and those of when it started."""
    path = shop.worktree_path(lease.attempt.attempt_id)
    known = {**provisioning.secrets_read(path, repository_root=lease.folder), **shop.secrets}
    for name, value in kept_secrets.secrets_kept(shop.secrets_key, shop.scratch_path(lease.attempt.attempt_id)):
        if value not in known.values():
            known[kept_secrets.name_free(f"{name} before" if name in known else name, known)] = value
    return known


def secrets_with_made(shop: Workshop, lease: Lease) -> dict[str, str]:
    """What no log of this attempt may show, what its worktree's hook has made included: before its executor starts,
    while nobody else has written there."""
    known = secrets_known(shop, lease)
    made = provisioning.secrets_made(shop.worktree_path(lease.attempt.attempt_id))
    every = dict(known)
    for name, value in made.items():
        if value not in known.values():
            every[kept_secrets.name_free(f"{name} made", every)] = value
    return every


def log_known(shop: Workshop, lease: Lease) -> capture.Known:
    """What no log of this attempt may show, as it is now."""
    return capture.Known(
        worktree_root=shop.worktree_path(lease.attempt.attempt_id),
        home=shop.operator_home,
        secrets=secrets_known(shop, lease),
        directories={"repository": lease.folder, "daemon": shop.home},
    )


def output_open(shop: Workshop, lease: Lease) -> None:
    """Let the attempt's output be read while it lasts."""
    attempt_id = lease.attempt.attempt_id
    shop.outputs.open(attempt_id, shop.scratch_path(attempt_id), known=lambda: log_known(shop, lease))


def _task(conn: Connection, step: step_records.Step) -> specs.TaskSpec:
    """What the step was asked, as the executor gets it that it is with, begun with the changes of the step it builds
    on."""
    task = step_selectors.step_task(conn, step.step_id)
    if step.fallback is not None:
        task = task.fallen_back(task.retry.fallback[step.fallback])
    if step.base_step_id is None:
        return task
    before = attempt_selectors.attempt_newest(conn, step.base_step_id)
    # Where a person accepted a step without changes on record there is nothing to begin with, and that is said.
    nothing = f"changes-of-{step.base_step_id}"
    return task.model_copy(update={"base": nothing if before is None else before.head_commit or nothing})


def executor_task(
    shop: Workshop, lease: Lease, *, profile: executor_profiles.Profile | None = None
) -> executor_port.ExecutorTask:
    """The attempt as its executor sees it; how it is to be run (`profile`) counts only before it starts."""
    earlier = shop.database.read(lambda conn: threads.continued_find(conn, step=lease.step, attempt=lease.attempt))
    return executor_port.ExecutorTask(
        attempt_id=lease.attempt.attempt_id,
        worktree=shop.worktree_path(lease.attempt.attempt_id),
        scratch=shop.scratch_path(lease.attempt.attempt_id),
        goal=lease.task.goal,
        timeout_s=lease.task.timeout_s,
        patch=lease.task.patch,
        params=lease.task.params,
        answer=lease.step.answer,
        question=None if earlier is None else earlier.question,
        thread=None if earlier is None else earlier.thread(worktree=shop.worktree_path(earlier.attempt_id)),
        profile=profile,
        repository=lease.repository_root,
        surroundings=executor_port.Surroundings(
            context=lease.task.context.summary,
            constraints=lease.task.constraints,
            acceptance=lease.task.acceptance,
            allowed_paths=lease.task.allowed_paths,
            forbidden_paths=lease.task.forbidden_paths,
        ),
    )

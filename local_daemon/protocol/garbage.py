"""Request and response bodies of collecting garbage: what the operator's retention lets go.

Bodies as in `messages`, which takes part in nothing of this. Tests: tests/contract/test_operations.py.
"""

from pydantic import Field

from local_daemon.protocol import wire


class GarbageCollect(wire.WireModel):
    """Lets go now what the retention in `daemon.toml` lets go, or only says what that would be."""

    dry_run: wire.Flag = False


class WorktreeKept(wire.ViewModel):
    """What stays in the home's `worktrees/` under that name, and why."""

    name: str = Field(default="", description="empty from older versions, which name attempts only")
    attempt_id: str = Field(default="", description="empty for what no attempt was given as its place")
    reason: str


class GarbageView(wire.ViewModel):
    """What went, or would. Manifests, and with them the digests of what went, always stay."""

    dry_run: wire.Flag
    artifacts: wire.Integer = Field(default=0, description="pieces of evidence")
    artifact_bytes: wire.Integer = 0
    archives: wire.Integer = Field(default=0, description="ignored files that attempts left")
    archive_bytes: wire.Integer = 0
    worktrees: wire.Integer = 0
    worktrees_kept: tuple[WorktreeKept, ...] = ()
    worktrees_bytes: wire.Integer = Field(
        default=0, description="that all worktrees and spare checkouts take on the disk"
    )
    refs: wire.Integer = Field(default=0, description="references to results, in the repositories")
    evidence_bytes: wire.Integer = Field(default=0, description="of all evidence that is kept")

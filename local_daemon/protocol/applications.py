"""Request and response bodies of applying a result to a branch.

Bodies as in `messages`, which takes part in nothing of this. Tests: tests/contract/test_operations.py.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from local_daemon.protocol import states, wire


class StepApply(wire.WireModel):
    """Agrees to bring exactly these changes onto a branch. Without `branch`: the one that is checked out."""

    digest: wire.Sha256 = Field(description="the patch's, as the step's result shows it")
    mode: Literal["merge", "cherry_pick", "export"] = "cherry_pick"
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")] | None = None
    comment: wire.Text = ""

    @model_validator(mode="after")
    def _names_a_new_branch(self) -> Self:
        if self.mode == "export" and self.branch is None:
            raise ValueError("branch: goes with mode 'export', which makes it")
        return self


class ApplicationView(wire.ViewModel):
    """A result on its way onto a branch; `conflicts` are the paths that stand in the way of a refused one."""

    application_id: str
    step_id: str
    attempt_id: str
    mode: str
    branch: str
    digest: str
    before_commit: str | None = None
    after_commit: str | None = None
    state: states.ApplicationState
    reason: str = ""
    conflicts: tuple[str, ...] = ()
    requested_by: str = ""
    comment: str = ""
    requested_at: wire.Instant
    ended_at: wire.Instant | None = None


class ApplicationAnswer(wire.ViewModel):
    """What came of it. Where `created` is false, the branch held it already."""

    application: ApplicationView
    created: wire.Flag = False


class ApplicationPage(wire.ViewModel):
    """Applications of a step, oldest first."""

    items: tuple[ApplicationView, ...]
    next_cursor: str | None = None

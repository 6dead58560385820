"""Which steps of a run are shown where it has more than a page of them: those that wait or work, those that failed, and
then the newest. How many are left out is said.

A few reads, however many steps there are. Called by `runs` and `watch`. Tests:
tests/unit/daemon/cli/test_run_steps.py, tests/integration/daemon/test_cli_long_runs.py.
"""

from dataclasses import dataclass

from local_daemon.client.http import DaemonClient
from local_daemon.protocol import limits, messages
from local_daemon.protocol.states import StepState

SHOWN_MAX = limits.PAGE_ITEMS_MAX
_FIRST = (
    StepState.WAITING,
    StepState.NEEDS_ATTENTION,
    StepState.RUNNING,
    StepState.VALIDATING,
    StepState.COLLECTING,
    StepState.PREPARING,
    StepState.RETRY_WAIT,
    StepState.FAILED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSteps:
    """Steps of a run in the order they were submitted, and how many of it are not among them."""

    items: tuple[messages.StepView, ...]
    left_out: int

    def left_out_lines(self, run_id: str) -> list[str]:
        """Where the others are, for a person."""
        if not self.left_out:
            return []
        return [f"  and {self.left_out} more: ropeway step list {run_id}"]


def run_steps(client: DaemonClient, run: messages.RunView) -> RunSteps:
    """All steps of the run, or those of a long one that tell the most."""
    total = sum(run.step_counts.values())
    chosen: dict[str, messages.StepView] = {}
    for state in _FIRST if total > SHOWN_MAX else ():
        if run.step_counts.get(state) and len(chosen) < SHOWN_MAX:
            _take(client, run, chosen, state=state)
    if len(chosen) < SHOWN_MAX:
        _take(client, run, chosen, state=None)
    items = tuple(sorted(chosen.values(), key=lambda step: step.step_id))
    return RunSteps(items=items, left_out=max(0, total - len(items)))


def _take(
    client: DaemonClient, run: messages.RunView, chosen: dict[str, messages.StepView], *, state: StepState | None
) -> None:
    """Add the newest of these as far as there is room; one that moved meanwhile stands as it was read last."""
    place = {"repository_id": run.repository_id, "run_id": run.run_id}
    query: dict[str, str | int] = {"limit": SHOWN_MAX, "order": messages.StepOrder.NEWEST.value}
    if state is not None:
        query["state"] = state.value
    for step in client.call("steps.list", messages.StepPage, parameters=place, query=query).items:
        if step.step_id in chosen or len(chosen) < SHOWN_MAX:
            chosen[step.step_id] = step

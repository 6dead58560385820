"""What the operator sees while a step works: one live line on a terminal, a line a change elsewhere.

Called by the CLI. Tests: tests/integration/daemon/test_cli.py.
"""

from local_daemon.client.http import DaemonClient
from local_daemon.protocol import limits, messages, specs


def step_follow(client: DaemonClient, step: messages.StepView, *, is_quiet: bool) -> messages.StepView:
    """Wait until nothing more happens to the step without a decision, and say what does meanwhile."""
    if is_quiet:
        return _settle(client, step)
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"{step.step_id} is {step.state}")
        return _settle(client, step)
    with console.status(f"{step.title}: {step.executor} at work"):
        return _settle(client, step)


def _settle(client: DaemonClient, step: messages.StepView) -> messages.StepView:
    parameters = {"repository_id": step.repository_id, "step_id": step.step_id}
    while True:
        answer = client.call(
            "steps.wait", messages.StepWait, parameters=parameters, query={"timeout_s": limits.WAIT_S_MAX}
        )
        if not answer.timed_out:
            return answer.step


def result_lines(result: specs.ResultSpec) -> str:
    """The result as a person reads it."""
    lines = [f"{result.step_id} is {result.state}" + (f": {result.summary}" if result.summary else "")]
    if result.failure is not None:
        lines.append(f"  {result.failure.kind}: {result.failure.detail}")
    if result.gate_id is not None:
        lines.append(f"  waits on {result.gate_id}; see `ropeway gate show {result.gate_id}`")
    lines += [f"  {change.status} {change.path}" for change in result.changes]
    lines += [f"  check {check.name}: {check.verdict}" for check in result.validations]
    if result.ref is not None and result.changes:
        lines.append(f"  kept at {result.ref}; see `git show {result.ref}`")
    return "\n".join(lines)

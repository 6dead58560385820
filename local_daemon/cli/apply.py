"""`ropeway apply`: a step's result onto a branch of yours, once you agreed to exactly these changes.

Tests: tests/integration/daemon/test_cli_plans.py.
"""

import sys

import click

from local_daemon.cli import exit_codes, naming, options, progress, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import applications as application_messages
from local_daemon.protocol import errors, ids, specs, states


@click.command()
@click.argument("step_id", shell_complete=values.step)
@click.option("--mode", type=click.Choice(["cherry-pick", "merge", "export"]), default="cherry-pick", show_default=True)
@click.option("--branch", help="Onto which branch (default: the one that is checked out); with export, its new name.")
@click.option("--digest", help="Apply only if these are still the changes; without it, you are shown and asked.")
@click.option("--comment", default="", help="Kept on the record.")
@values.repository_option
@options.json_option
@options.with_daemon()
def apply(
    client: DaemonClient,
    *,
    step_id: str,
    mode: str,
    branch: str | None,
    digest: str | None,
    comment: str,
    repository: str | None,
    as_json: bool,
) -> int:
    """Bring the changes of a completed step onto a branch. A conflict or a dirty checkout changes nothing."""
    parameters = naming.place_find(client, repository, ids.IdPrefix.STEP, step_id)
    body = options.message_checked(
        application_messages.StepApply,
        {
            "digest": digest or _digest_confirm(client, parameters, branch),
            "mode": mode.replace("-", "_"),
            "branch": branch,
            "comment": comment,
        },
    )
    answer = client.call("steps.apply", application_messages.ApplicationAnswer, parameters=parameters, body=body)
    options.show(answer, as_json=as_json, lines=_lines(answer))
    is_applied = answer.application.state is states.ApplicationState.APPLIED
    return exit_codes.ExitCode.OK if is_applied else exit_codes.ExitCode.REFUSED


def _digest_confirm(client: DaemonClient, parameters: dict[str, str], branch: str | None) -> str:
    """The digest of what was just shown, once the operator agreed to it."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to be asked: name what you apply with --digest.")
    result = client.call("steps.result", specs.ResultSpec, parameters=parameters)
    if result.patch is None:
        raise errors.InvalidTransition("This step left no changes on record to apply.")
    options.tell((progress.change_line(change) for change in result.changes), err=True)
    click.confirm(f"Apply exactly this to {branch or 'what is checked out'}?", abort=True, err=True)
    return result.patch.sha256


def _lines(answer: application_messages.ApplicationAnswer) -> list[str]:
    view = answer.application
    if view.state is states.ApplicationState.APPLIED:
        if view.branch == ".":
            return ["the folder holds it" if answer.created else "the folder held it already"]
        word = "is at" if answer.created else "held it already, at"
        return [f"{view.branch} {word} {view.after_commit}"]
    return [f"not applied: {view.reason}", *(f"  {path}" for path in view.conflicts)]

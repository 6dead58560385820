"""`ropeway`: the operator's command line, a client of the daemon like any other.

Prints a table or a sentence on a terminal and exactly one JSON document with `--json`; exit codes stand in
`client/exit_codes.py`. Decides nothing. Heavy imports wait until a command needs them.
Tests: tests/integration/daemon/test_cli.py.
"""

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from local_daemon.config import home as homes
from local_daemon.protocol import errors, messages, specs, states, version

if TYPE_CHECKING:
    from local_daemon.client.http import DaemonClient

F = TypeVar("F", bound=Callable[..., Any])


def main() -> None:
    """Run the command line; typed errors become one sentence and their exit code."""
    from local_daemon.client.exit_codes import ExitCode

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.INVALID)
    except click.Abort:
        sys.exit(ExitCode.CANCELLED)
    except errors.RopewayError as error:
        _complain(error.detail, error.problem())
        sys.exit(ExitCode.INTERNAL if error.row.http >= 500 else ExitCode.INVALID)
    except _expected_failures() as error:
        _complain(str(error) or (type(error).__doc__ or "").strip(), None)
        sys.exit(ExitCode.UNREACHABLE)


def _expected_failures() -> tuple[type[Exception], ...]:
    from local_daemon.client.http import DaemonUnreachable

    return (DaemonUnreachable,)


def _complain(sentence: str, problem: dict[str, Any] | None) -> None:
    details = (problem or {}).get("attributes", {}).get("errors", [])
    click.echo(f"ropeway: {sentence}", err=True)
    for item in details:
        click.echo(f"  {item.get('field')}: {item.get('problem')}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version.__version__, prog_name="ropeway")
@click.option("--home", "home_path", envvar="ROPEWAY_HOME", help="The daemon's home directory.")
@click.pass_context
def cli(context: click.Context, home_path: str | None) -> None:
    """Work carried out next to the code, and one record of it."""
    context.obj = homes.home_find(home_path)


def json_option(command: F) -> F:
    """`--json`: exactly one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def with_daemon(*, starts: bool = False) -> Callable[[F], Callable[..., Any]]:
    """Hand the command a client of the home's daemon; with `starts`, start one where none answers."""

    def decorate(command: F) -> Callable[..., Any]:
        @click.pass_obj
        @functools.wraps(command)
        def wrapped(home: homes.Home, /, **options: Any) -> Any:
            with _client(home, starts=starts) as client:
                return command(client, **options)

        return wrapped

    return decorate


@contextmanager
def _client(home: homes.Home, *, starts: bool) -> Iterator["DaemonClient"]:
    from local_daemon.client import http, starting

    with http.connect_or_start(home, starting.daemon_start if starts else None) as client:
        yield client


def show(model: Any, *, as_json: bool, line: str) -> None:
    """Print the document, or its line."""
    if as_json:
        document = model.model_dump(mode="json") if hasattr(model, "model_dump") else model
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(line)


@cli.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Answer on this loopback port too (0: any free one).")
@click.pass_obj
def daemon(home: homes.Home, port: int | None) -> None:
    """Run the daemon in the foreground. SIGTERM drains it, a second one stops it."""
    from local_daemon import bootstrap
    from local_daemon.config.settings import SettingsInvalid

    try:
        bootstrap.daemon_run(home, port=port)
    except (bootstrap.AlreadyRunning, bootstrap.AddressTaken, homes.HomeUnsafe, SettingsInvalid) as error:
        raise click.ClickException(str(error) or (type(error).__doc__ or "").strip()) from error


@cli.command()
@json_option
@with_daemon()
def status(client: "DaemonClient", *, as_json: bool) -> None:
    """Say who the daemon is and what it can use."""
    instance = client.call("instance.get", messages.InstanceView)
    available = ", ".join(item.name for item in instance.executors if item.is_available) or "none"
    show(instance, as_json=as_json, line=f"{instance.instance_id} {instance.version}, executors: {available}")


@cli.command()
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
@json_option
@with_daemon(starts=True)
def init(client: "DaemonClient", *, path: Path, as_json: bool) -> None:
    """Make the repository at PATH (default: here) known to the daemon, starting one where none runs."""
    added = _repository_add(client, path, None)
    show(added, as_json=as_json, line=f"{added.label} is {added.repository_id}")


@cli.group()
def repository() -> None:
    """Repositories of this machine."""


@repository.command("add")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--label", help="What others see it called (default: its folder's name).")
@json_option
@with_daemon()
def repository_add(client: "DaemonClient", *, path: Path, label: str | None, as_json: bool) -> None:
    """Make the git repository at PATH known; adding it again is harmless."""
    added = _repository_add(client, path, label)
    show(added, as_json=as_json, line=f"{added.label} is {added.repository_id}")


@repository.command("list")
@json_option
@with_daemon()
def repository_list(client: "DaemonClient", *, as_json: bool) -> None:
    """List what the daemon knows."""
    page = client.call("repositories.list", messages.RepositoryPage)
    show(page, as_json=as_json, line="\n".join(f"{item.repository_id}  {item.label}" for item in page.items))


def _repository_add(client: "DaemonClient", path: Path, label: str | None) -> messages.RepositoryView:
    body = messages.RepositoryAdd(path=str(path.resolve()), label=label)
    return client.call("repositories.add", messages.RepositoryView, body=body)


@cli.command()
@click.option("--goal", help="What to do, in words.")
@click.option("--task", "task_file", type=click.File("r"), help="A TaskSpec, YAML or JSON (- for standard input).")
@click.option("--patch", "patch_file", type=click.File("r"), help="A unified diff to apply.")
@click.option("--executor", help="Who does it (default: patch for a patch).")
@click.option("--repository", "repository_id", help="Which repository (default: the one you stand in).")
@click.option("--run", "run_id", help="Add to this run (default: a run of its own).")
@click.option("--name", help="A name for the step: submitting it again returns the same step.")
@click.option("--wait", is_flag=True, help="Stay until nothing more happens without a decision.")
@json_option
@with_daemon(starts=True)
def submit(client: "DaemonClient", *, wait: bool, as_json: bool, **given: Any) -> None:
    """Queue one step, and with --wait follow it to its end."""
    from local_daemon.client import progress, tasks
    from local_daemon.client.exit_codes import step_exit_code

    task = tasks.task_read(
        goal=given["goal"], task_file=given["task_file"], patch_file=given["patch_file"], executor=given["executor"]
    )
    place = tasks.repository_choose(client, given["repository_id"])
    step = tasks.step_submit(client, repository_id=place, run_id=given["run_id"], task=task, name=given["name"])
    if not wait:
        show(step, as_json=as_json, line=f"{step.step_id} is {step.state}")
        return
    step = progress.step_follow(client, step, is_quiet=as_json)
    parameters = {"repository_id": place, "step_id": step.step_id}
    result = client.call("steps.result", specs.ResultSpec, parameters=parameters)
    show(result, as_json=as_json, line=progress.result_lines(result))
    raise click.exceptions.Exit(step_exit_code(step))


@cli.group()
def gate() -> None:
    """Decisions that work waits for."""


def repository_option(command: F) -> F:
    """`--repository`: by default the one the operator stands in."""
    return click.option("--repository", "repository_id", help="Which repository (default: the one you stand in).")(
        command
    )


@gate.command("list")
@repository_option
@json_option
@with_daemon()
def gate_list(client: "DaemonClient", *, repository_id: str | None, as_json: bool) -> None:
    """List the gates that are open."""
    from local_daemon.client import tasks

    parameters = {"repository_id": tasks.repository_choose(client, repository_id)}
    page = client.call("gates.list", messages.GatePage, parameters=parameters, query={"state": states.GateState.OPEN})
    lines = "\n".join(f"{item.gate_id}  {item.kind}  {item.reason}" for item in page.items)
    show(page, as_json=as_json, line=lines or "No gate is open.")


@gate.command("show")
@click.argument("gate_id")
@repository_option
@json_option
@with_daemon()
def gate_show(client: "DaemonClient", *, gate_id: str, repository_id: str | None, as_json: bool) -> None:
    """Show a gate and the digest an approval must name."""
    found = _gate(client, gate_id, repository_id)
    line = f"{found.gate_id} is {found.state}: {found.reason}\n{found.question or ''}\ndigest {found.digest}"
    show(found, as_json=as_json, line=line)


@gate.command("approve")
@click.argument("gate_id")
@click.option("--digest", required=True, help="The digest that `gate show` printed: exactly this is approved.")
@click.option("--comment", default="")
@repository_option
@json_option
@with_daemon()
def gate_approve(client: "DaemonClient", *, gate_id: str, digest: str, **given: Any) -> None:
    """Let the work go on with exactly what the digest names."""
    _gate_decide(client, gate_id, given, decision=states.GateDecision.APPROVE, digest=digest)


@gate.command("reject")
@click.argument("gate_id")
@click.option("--comment", default="")
@repository_option
@json_option
@with_daemon()
def gate_reject(client: "DaemonClient", *, gate_id: str, **given: Any) -> None:
    """Stop here; the step fails as rejected."""
    _gate_decide(client, gate_id, given, decision=states.GateDecision.REJECT)


@gate.command("answer")
@click.argument("gate_id")
@click.argument("text")
@click.option("--comment", default="")
@repository_option
@json_option
@with_daemon()
def gate_answer(client: "DaemonClient", *, gate_id: str, text: str, **given: Any) -> None:
    """Answer an executor's question."""
    _gate_decide(client, gate_id, given, decision=states.GateDecision.ANSWER, answer=text)


def _gate(client: "DaemonClient", gate_id: str, repository_id: str | None) -> messages.GateView:
    from local_daemon.client import tasks

    parameters = {"repository_id": tasks.repository_choose(client, repository_id), "gate_id": gate_id}
    return client.call("gates.get", messages.GateView, parameters=parameters)


def _gate_decide(client: "DaemonClient", gate_id: str, given: dict[str, Any], **decision: Any) -> None:
    from local_daemon.client import tasks

    parameters = {"repository_id": tasks.repository_choose(client, given["repository_id"]), "gate_id": gate_id}
    body = tasks.checked(messages.GateDecide, {**decision, "comment": given["comment"]})
    answer = client.call("gates.decide", messages.GateAnswer, parameters=parameters, body=body)
    line = f"{answer.gate.gate_id} is {answer.gate.state}; the step is {answer.step.state}"
    show(answer, as_json=given["as_json"], line=line)


@cli.command()
@json_option
@click.pass_obj
def verify(home: homes.Home, *, as_json: bool) -> None:
    """Check every event chain, signature and byte of evidence. Needs no daemon."""
    from local_daemon.artifacts.store import BlobStore
    from local_daemon.client.exit_codes import ExitCode
    from local_daemon.evidence import verification
    from local_daemon.identity import keys

    if not home.record.exists():
        raise click.ClickException("There is no record in this home yet.")
    public_key = keys.identity_ensure(home.identity).public_key
    report = verification.home_verify(record=home.record, blobs=BlobStore(home.artifacts), public_key=public_key)
    document = {
        "ok": report.holds,
        "events": sum(log.checked for log in report.logs),
        "artifacts": report.artifacts_checked,
        "signatures": report.manifests_checked,
        "findings": list(report.findings),
    }
    line = "\n".join(report.findings) or (
        f"Everything holds: {document['events']} events, {document['artifacts']} artifacts, "
        f"{document['signatures']} signatures."
    )
    show(document, as_json=as_json, line=line)
    raise click.exceptions.Exit(ExitCode.OK if report.holds else ExitCode.NOT_VERIFIED)


if __name__ == "__main__":
    main()

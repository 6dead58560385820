"""`ropeway`: the operator's command line, a client of the daemon like any other.

Here are the names of the commands and what an error becomes; each noun has a file of its own, imported
when one of them is used. With `--json` a command prints exactly one JSON document, also when it fails.
Tests: tests/integration/daemon/test_cli.py.
"""

import importlib
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import click
from click.shell_completion import CompletionItem

from local_daemon.cli import exit_codes
from local_daemon.config import home as homes
from local_daemon.protocol import version

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A command: the module here that holds it, and what the list says of it, so that listing imports none."""

    module: str
    help: str


_COMMANDS: Mapping[str, _Entry] = MappingProxyType(
    {
        "init": _Entry("init", "Make the repository at PATH (default: here) ready, starting a daemon where none runs."),
        "submit": _Entry("submit", "Queue one step, and with --wait follow it to its end."),
        "watch": _Entry("watch", "Watch a run as it happens, and decide its gates."),
        "status": _Entry("status", "Say who the daemon is and what it can use."),
        "repository": _Entry("repositories", "Repositories of this machine."),
        "run": _Entry("runs", "Runs: one objective each, which holds steps."),
        "manifest": _Entry("manifests", "Whole runs, submitted at once."),
        "conversation": _Entry("conversations", "Talks with one executor, in one place."),
        "step": _Entry("steps", "Steps: one unit of work each."),
        "gate": _Entry("gates", "Decisions that work waits for."),
        "artifact": _Entry("artifacts", "Evidence of steps: patches, output, signed manifests."),
        "apply": _Entry("apply", "Bring the changes of a completed step onto a branch."),
        "usage": _Entry("usage", "Show what was used of tokens, money and time, and of which budget."),
        "events": _Entry("events", "Show the repository's log of events, and with --follow what comes."),
        "daemon": _Entry("daemon", "Run the daemon in the foreground; or ask the one that runs."),
        "service": _Entry("service", "The daemon as a service of your account: started at login, kept running."),
        "verify": _Entry("verify", "Check every event chain, signature, byte of evidence and reference to a result."),
        "gc": _Entry(
            "gc", "Let old evidence, references to results, ignored files and worktrees go, by your [retention]."
        ),
        "doctor": _Entry("doctor", "Say whether this machine has what the daemon needs."),
        "identity": _Entry("identity", "Who this home's daemon is."),
        "mcp": _Entry("mcp", "Serve the daemon's tools over MCP on standard input and output."),
        "completion": _Entry("completion", "Print the script that completes `ropeway` in SHELL (default: yours)."),
    }
)
"""Every command, the most used first."""


class _Commands(click.Group):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, the most used first."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"local_daemon.cli.{_COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; for one that there is not, those that look like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS) if args else []
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {' or '.join(near)}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Their list in `ropeway --help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in _COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Their names for a shell, which asks at each press of a key."""
        found = [
            CompletionItem(name, help=entry.help) for name, entry in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exit_codes.TABLE)
@click.version_option(version.__version__, prog_name="ropeway")
@click.option("--home", "home_path", envvar="ROPEWAY_HOME", help="The daemon's home directory.")
@click.pass_context
def cli(context: click.Context, home_path: str | None) -> None:
    """Work carried out next to the code, and one record of it."""
    context.obj = homes.home_find(home_path)


def main() -> None:
    """Run the command line; an error becomes one sentence, or with `--json` one document, and its exit code."""
    try:
        code = cli.main(prog_name="ropeway", standalone_mode=False)
    except SystemExit:
        # Click's own word when whoever read our output has seen enough, which is no failure.
        sys.exit(exit_codes.ExitCode.OK)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and not _wants_json():
            error.show()
        else:
            _complain(error)
        sys.exit(exit_codes.ExitCode.INVALID)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(exit_codes.ExitCode.INTERRUPTED)
    except _expected() as error:
        _complain(error)
        sys.exit(exit_codes.error_exit_code(error))
    except Exception as error:  # the outermost frame of the process
        logger.exception("ropeway crashed", extra={"event": "cli.crashed"})
        if _wants_json():
            _complain(error)
        sys.exit(exit_codes.ExitCode.INTERNAL)
    sys.exit(code if isinstance(code, int) else exit_codes.ExitCode.OK)


def _expected() -> tuple[type[Exception], ...]:
    # Imported only where something went wrong: `ropeway --version` needs none of it.
    from local_daemon.cli import problems

    return problems.EXPECTED


def _complain(error: Exception) -> None:
    from local_daemon.cli import problems

    problem = problems.problem_of(error)
    if _wants_json():
        click.echo(json.dumps({"error": problem}))
        return
    click.echo(f"ropeway: {problem['detail']}", err=True)
    for item in problem.get("attributes", {}).get("errors", []):
        click.echo(f"  {item.get('field')}: {item.get('problem')}", err=True)
    for candidate in problem.get("attributes", {}).get("candidates", []):
        click.echo(f"  {candidate}", err=True)


def _wants_json() -> bool:
    return "--json" in sys.argv[1:]

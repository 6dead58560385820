"""What a shell completes where a command takes a value of the record: ids, names, executors, profiles, repositories.

Asked at a press of a key, so whatever stands in the way means that nothing is offered: no daemon is started, nothing is
said. Called by the parameters that name these. Tests: tests/integration/daemon/test_completion.py.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from local_daemon.config import home as homes
from local_daemon.protocol import ids

if TYPE_CHECKING:
    from local_daemon.client.http import DaemonClient

_OFFERED = 50
_ANSWER_S = 2.0
_BEGINNING_CHARACTERS = 4
_LATEST = "latest"

F = TypeVar("F", bound=Callable[..., Any])
Offer = Callable[["DaemonClient", click.Context, str], Iterable[CompletionItem]]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _asked(offer: Offer) -> Complete:
    """Ask the daemon that runs, and offer what it says that goes on from what was typed."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from local_daemon.cli import problems
        from local_daemon.client import http

        home = homes.home_find(context.find_root().params.get("home_path"))
        # A line that is not finished may name whatever it likes; that is said when it is run.
        with suppress(*problems.EXPECTED, OSError), http.connect(home, timeout_s=_ANSWER_S) as client:
            found = offer(client, context, incomplete)
            return [each for each in found if each.type != "plain" or each.value.startswith(incomplete)]
        return []

    return complete


def _repository_id(client: "DaemonClient", context: click.Context) -> str:
    from local_daemon.cli import options

    return options.repository_choose(client, context.params.get("repository"))


def _ids(noun: ids.IdPrefix) -> Offer:
    def offer(client: "DaemonClient", context: click.Context, incomplete: str) -> Iterator[CompletionItem]:
        from local_daemon.protocol import messages

        query: dict[str, str | int] = {"noun": noun.name.lower(), "limit": _OFFERED}
        beginning = incomplete.removeprefix(f"{noun}_")
        if len(beginning) >= _BEGINNING_CHARACTERS and incomplete != beginning:
            query["beginning"] = beginning
        elif noun is ids.IdPrefix.ARTIFACT:
            return  # An artifact is found by how its id begins only.
        else:
            yield CompletionItem(_LATEST)
        parameters = {"repository_id": _repository_id(client, context)}
        for each in client.call("ids.list", messages.IdList, parameters=parameters, query=query).items:
            yield CompletionItem(each)

    return offer


def _run_or_name(client: "DaemonClient", context: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    from local_daemon.protocol import messages

    parameters = {"repository_id": _repository_id(client, context)}
    for each in client.call("runs.list", messages.RunPage, parameters=parameters, query={"limit": _OFFERED}).items:
        if each.name is not None:
            yield CompletionItem(each.name, help=each.run_id)
    yield from _ids(ids.IdPrefix.RUN)(client, context, incomplete)


def _step_or_artifact(client: "DaemonClient", context: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    noun = ids.IdPrefix.ARTIFACT if incomplete.startswith(f"{ids.IdPrefix.ARTIFACT}_") else ids.IdPrefix.STEP
    yield from _ids(noun)(client, context, incomplete)


def _artifact_names(client: "DaemonClient", context: click.Context, _: str) -> Iterator[CompletionItem]:
    from local_daemon.cli import naming
    from local_daemon.protocol import limits, messages

    word, repository = context.params.get("of") or "", context.params.get("repository")
    place = naming.place_find(client, repository, ids.IdPrefix.STEP, word)
    query = {"limit": limits.PAGE_ITEMS_MAX}
    found = client.call("artifacts.list", messages.ArtifactPage, parameters=place, query=query).items
    yield from (CompletionItem(name) for name in dict.fromkeys(each.name for each in found))


def _executors(client: "DaemonClient", _context: click.Context, _: str) -> Iterator[CompletionItem]:
    from local_daemon.protocol import messages

    for each in client.call("instance.get", messages.InstanceView).executors:
        if each.is_available:
            yield CompletionItem(each.name, help=each.version)


def _profiles(client: "DaemonClient", context: click.Context, _: str) -> Iterator[CompletionItem]:
    """Those of the executor that was named, or of all."""
    from local_daemon.protocol import messages

    wanted = context.params.get("executor")
    executors = client.call("instance.get", messages.InstanceView).executors
    found = [name for each in executors if wanted in (None, each.name) for name in each.profiles]
    yield from (CompletionItem(name) for name in dict.fromkeys(found))


def _repositories(client: "DaemonClient", _context: click.Context, incomplete: str) -> Iterator[CompletionItem]:
    from local_daemon.protocol import messages

    yield CompletionItem(incomplete, type="dir")  # First: bash's script begins anew where it reads this.
    page = client.call("repositories.list", messages.RepositoryPage)
    yield from (CompletionItem(each.repository_id, help=each.label) for each in page.items)


run = _asked(_ids(ids.IdPrefix.RUN))
run_or_name = _asked(_run_or_name)
step = _asked(_ids(ids.IdPrefix.STEP))
step_or_artifact = _asked(_step_or_artifact)
gate = _asked(_ids(ids.IdPrefix.GATE))
conversation = _asked(_ids(ids.IdPrefix.CONVERSATION))
artifact_name = _asked(_artifact_names)
executor = _asked(_executors)
profile = _asked(_profiles)
repository = _asked(_repositories)


def repository_option(command: F) -> F:
    """`--repository`: by default the one the operator stands in."""
    return click.option(
        "--repository",
        "repository",
        metavar="ID|PATH",
        shell_complete=repository,
        help="Which repository (default: the one you stand in).",
    )(command)

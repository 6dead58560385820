"""`ropeway conversation …`: a talk with one executor, turn by turn.

Tests: tests/integration/daemon/test_cli_plans.py.
"""

import click

from local_daemon.cli import naming, options, submit, values
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import conversations as conversation_messages
from local_daemon.protocol import ids, messages


@click.group()
def conversation() -> None:
    """Talks with one executor, in one place."""


@conversation.command("begin")
@click.option("--executor", required=True, shell_complete=values.executor, help="Whom to talk with.")
@click.option("--profile", shell_complete=values.profile, help="How it is run: a profile from daemon.toml.")
@click.option("--title", help="What the talk is about.")
@click.option("--base", help="Branch, tag or commit to begin at (default: HEAD).")
@values.repository_option
@options.json_option
@options.with_daemon(starts=True)
def conversation_begin(
    client: DaemonClient,
    *,
    executor: str,
    profile: str | None,
    title: str | None,
    base: str | None,
    repository: str | None,
    as_json: bool,
) -> None:
    """Begin a talk."""
    place = {"repository_id": options.repository_begin(client, repository, needs_commit=base is None)}
    body = options.message_checked(
        conversation_messages.ConversationBegin,
        {"executor": executor, "profile": profile, "title": title, "base": base},
    )
    begun = client.call("conversations.begin", conversation_messages.ConversationView, parameters=place, body=body)
    options.show(begun, as_json=as_json, lines=_lines(begun))


@conversation.command("say")
@click.argument("conversation_id", shell_complete=values.conversation)
@click.argument("text")
@values.repository_option
@click.option("--wait", is_flag=True, help="Stay until nothing more happens without a decision, and show it.")
@options.timeout_option
@options.quiet_option
@options.json_option
@options.with_daemon()
def conversation_say(
    client: DaemonClient,
    *,
    conversation_id: str,
    text: str,
    repository: str | None,
    wait: bool,
    timeout_s: float | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Queue the next turn, and with --wait follow it to its end."""
    if timeout_s is not None and not wait:
        raise click.UsageError("--timeout goes with --wait.")
    parameters = _parameters(client, repository, conversation_id)
    body = options.message_checked(conversation_messages.ConversationSay, {"text": text})
    said = client.call("conversations.say", conversation_messages.ConversationView, parameters=parameters, body=body)
    if not wait:
        options.show(said, as_json=as_json, lines=[*_lines(said)[-1:], *options.warning_lines(said.warnings)])
        return
    place = {"repository_id": parameters["repository_id"], "step_id": said.turns[-1].step_id}
    turn = client.call("steps.get", messages.StepView, parameters=place)
    warnings = said.warnings
    submit.step_await(client, turn, warnings=warnings, timeout_s=timeout_s, quiet=quiet, as_json=as_json)


@conversation.command("undo")
@click.argument("conversation_id", shell_complete=values.conversation)
@values.repository_option
@options.json_option
@options.with_daemon()
def conversation_undo(client: DaemonClient, *, conversation_id: str, repository: str | None, as_json: bool) -> None:
    """Take the newest turn back; its changes stay on record."""
    parameters = _parameters(client, repository, conversation_id)
    view = client.call(
        "conversations.undo", conversation_messages.ConversationView, parameters=parameters, body=messages.Empty()
    )
    options.show(view, as_json=as_json, lines=_lines(view))


@conversation.command("show")
@click.argument("conversation_id", shell_complete=values.conversation)
@values.repository_option
@options.json_option
@options.with_daemon()
def conversation_show(client: DaemonClient, *, conversation_id: str, repository: str | None, as_json: bool) -> None:
    """Show a talk and its turns."""
    parameters = _parameters(client, repository, conversation_id)
    view = client.call("conversations.get", conversation_messages.ConversationView, parameters=parameters)
    options.show(view, as_json=as_json, lines=_lines(view))


@conversation.command("list")
@options.page_options()
@values.repository_option
@options.json_option
@options.with_daemon()
def conversation_list(
    client: DaemonClient, *, limit: int, cursor: str | None, repository: str | None, as_json: bool
) -> None:
    """List talks, newest first."""
    place = {"repository_id": options.repository_choose(client, repository)}
    query = options.page_query(limit=limit, cursor=cursor)
    page = client.call("conversations.list", conversation_messages.ConversationPage, parameters=place, query=query)
    lines = (_lines(item)[0] for item in page.items)
    shown = options.page_lines(lines, next_cursor=page.next_cursor, none="No conversation yet.")
    options.show(page, as_json=as_json, lines=shown)


@conversation.command("close")
@click.argument("conversation_id", shell_complete=values.conversation)
@values.repository_option
@options.json_option
@options.with_daemon()
def conversation_close(client: DaemonClient, *, conversation_id: str, repository: str | None, as_json: bool) -> None:
    """Say that no further turn comes."""
    parameters = _parameters(client, repository, conversation_id)
    view = client.call(
        "conversations.close", conversation_messages.ConversationView, parameters=parameters, body=messages.Empty()
    )
    options.show(view, as_json=as_json, lines=_lines(view)[:1])


def _parameters(client: DaemonClient, repository: str | None, conversation_id: str) -> dict[str, str]:
    return naming.place_find(client, repository, ids.IdPrefix.CONVERSATION, conversation_id)


def _lines(view: conversation_messages.ConversationView) -> list[str]:
    count = "1 turn" if len(view.turns) == 1 else f"{len(view.turns)} turns"
    lines = [f"{view.conversation_id}  {view.state}  {view.executor}  {count}"]
    for turn in view.turns:
        word = "undone" if turn.is_undone else turn.state
        lines.append(f"  {turn.number}  {word}  {turn.step_id}  {turn.title}")
        if turn.fresh_because:
            lines.append(f"     a fresh thread: {turn.fresh_because}")
    return lines

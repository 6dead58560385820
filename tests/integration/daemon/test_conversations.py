"""Talks with one executor on real git: threads go on in place or are replaced, and turns are undone."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local_daemon.conversations import selectors, services
from local_daemon.executors import port, registry
from local_daemon.processes import children
from local_daemon.protocol import conversations as conversation_messages
from local_daemon.protocol import errors, ids, specs, states
from tests.integration.daemon.machine import Machine, git, machine_start, repository_make


class Talker:
    """Appends what it is told to `said.txt`, and tells where it worked and which thread it continued. It has lost a
    thread when it is told to have."""

    name = "talker"

    async def availability(self) -> port.Availability:
        return port.Availability(status=port.AvailabilityStatus.AVAILABLE)

    def prepare(self, task: port.ExecutorTask) -> port.Launch:
        thread = task.thread.thread_id if task.thread is not None else ""
        if thread and task.params.get("lost"):
            return port.Launch(argv=("/bin/sh", "-c", "exit 3"))
        told = {"thread": thread, "place": str(task.worktree), "context": task.surroundings.context}
        text = task.answer or task.goal
        asks = task.params.get("asks") and task.answer is None
        told["asks"] = "yes" if asks else ""
        script = 'printf "%s\\n" "$1" >>said.txt; printf x >>turns.log; printf "%s" "$2"'
        return port.Launch(argv=("/bin/sh", "-c", script, "talker", text, json.dumps(told)))

    def interpret(
        self, status: children.ExitStatus, *, stdout: Path, stderr: Path, task: port.ExecutorTask
    ) -> port.ExecutorReport:
        if not status.is_success:
            return port.ExecutorReport(outcome=port.Outcome.FAILED, detail="no such thread")
        told = json.loads(stdout.read_text())
        told["turns"] = (task.worktree / "turns.log").read_text()
        outcome = port.Outcome.QUESTION if told["asks"] else port.Outcome.SUCCEEDED
        return port.ExecutorReport(
            outcome=outcome,
            summary=json.dumps({**told, "place": Path(told["place"]).name}),
            questions=("which?",) if told["asks"] else (),
            thread_id=told["thread"] or f"thread-of-{task.attempt_id[-6:]}",
            usage=port.Usage(output_tokens=1),
        )


class Talk:
    """One conversation."""

    def __init__(self, machine: Machine, conversation_id: ids.ConversationId) -> None:
        self.machine = machine
        self.conversation_id = conversation_id

    def view(self) -> conversation_messages.ConversationView:
        return self.machine.shop.database.read(lambda conn: selectors.conversation_view(conn, self._get(conn)))

    async def say(self, text: str, **params: Any) -> dict[str, Any]:
        """Say it, and answer what the executor told."""
        step = await self.machine.until(await self.submit(text, **params))
        await self.machine.worktrees_gone()
        assert step.state is states.StepState.COMPLETED, step
        return dict(json.loads(step.summary))

    async def submit(self, text: str, **params: Any) -> ids.StepId:
        def apply(tx: Any) -> ids.StepId:
            task = specs.TaskSpec(goal=text, executor="talker", params=params)
            conversation = self._get(tx.connection)
            return services.conversation_say(tx, conversation=conversation, task=task, policies=()).step_id

        return await self.machine.shop.database.write("conversation_say", apply)

    async def undo(self) -> None:
        await self.machine.shop.database.write(
            "conversation_undo", lambda tx: services.turn_undo(tx, conversation=self._get(tx.connection))
        )

    def said(self) -> list[str]:
        """What the files hold now."""
        return git(self.machine.root, "show", f"{self.view().head_commit}:said.txt").splitlines()

    def _get(self, conn: Any) -> Any:
        return selectors.conversation_get(conn, self.conversation_id, repository_id=self.machine.repository_id)


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    executors = registry.Registry([Talker()])
    root = repository_make(tmp_path / "repository")
    (root / ".git/info/exclude").write_text("*.log\n")
    async with machine_start(tmp_path / "home", root, executors=executors) as machine:
        begun = await machine.shop.database.write(
            "conversation_begin",
            lambda tx: services.conversation_begin(
                tx, repository_id=machine.repository_id, executor="talker", profile=None, title=None, base=None
            ),
        )
        yield Talk(machine, begun.conversation_id)


async def test_turns_go_on_with_the_thread_the_files_and_the_place(talk: Talk) -> None:
    first = await talk.say("one")
    second = await talk.say("two")
    third = await talk.say("three")
    assert talk.said() == ["one", "two", "three"]
    assert first["thread"] == ""
    assert second["thread"] == third["thread"] == talk.view().thread_id
    assert first["place"] == second["place"] == third["place"]
    assert [turn.continues_thread for turn in talk.view().turns] == [False, True, True]


async def test_ignored_files_last_from_turn_to_turn_also_where_the_thread_is_lost(talk: Talk) -> None:
    assert (await talk.say("one"))["turns"] == "x"
    assert (await talk.say("two"))["turns"] == "xx"
    assert (await talk.say("three", lost=True))["turns"] == "xxx"


async def test_an_undone_turn_takes_the_ignored_files_with_it(talk: Talk) -> None:
    await talk.say("one")
    await talk.say("two")
    await talk.undo()
    assert (await talk.say("three"))["turns"] == "x"
    assert (await talk.say("four"))["turns"] == "xx"


async def test_ignored_files_are_there_when_a_question_was_answered(talk: Talk) -> None:
    step_id = await talk.submit("one", asks=True)
    waiting = await talk.machine.until(step_id)
    await talk.machine.worktrees_gone()
    await talk.machine.answer(waiting, "left")
    step = await talk.machine.until(step_id, states.StepState.COMPLETED)
    assert json.loads(step.summary)["turns"] == "xx"


async def test_what_a_turn_did_not_touch_of_the_ignored_files_is_not_told_again(talk: Talk) -> None:
    for text in ("one", "two"):
        await talk.say(text)
        warned = talk.machine.result(ids.StepId(talk.view().turns[-1].step_id)).warnings
        assert len(warned) == 1 and "turns.log" in warned[0]


async def test_a_turns_patch_holds_its_own_changes_only(talk: Talk) -> None:
    await talk.say("one")
    await talk.say("two")
    result = talk.machine.result(ids.StepId(talk.view().turns[-1].step_id))
    assert b"+two" in talk.machine.content(result.patch)
    assert b"+one" not in talk.machine.content(result.patch)


async def test_a_lost_thread_is_replaced_by_one_that_is_told_what_was_said_and_the_turn_says_so(talk: Talk) -> None:
    await talk.say("one")
    second = await talk.say("two", lost=True)
    assert second["thread"] == ""
    assert "Asked: one" in second["context"]
    assert talk.said() == ["one", "two"]
    turn = talk.view().turns[-1]
    assert not turn.continues_thread
    assert turn.fresh_because == "the thread could not be taken up again: no such thread"
    assert (await talk.say("three"))["thread"] == talk.view().thread_id


async def test_an_undone_turn_is_gone_from_the_files_and_kept_on_record(talk: Talk) -> None:
    await talk.say("one")
    await talk.say("two")
    undone = talk.view().turns[-1]
    await talk.undo()
    assert talk.said() == ["one"]
    third = await talk.say("three")
    assert talk.said() == ["one", "three"]
    assert third["thread"] == ""
    assert talk.view().turns[-1].fresh_because == services.UNDONE
    assert (
        git(talk.machine.root, "show", f"{talk.machine.result(ids.StepId(undone.step_id)).ref}:said.txt")
        == "one\ntwo\n"
    )


async def test_every_turn_can_be_undone_and_then_none_is_left(talk: Talk) -> None:
    await talk.say("one")
    await talk.say("two")
    await talk.undo()
    await talk.undo()
    assert talk.view().head_commit is None
    with pytest.raises(errors.InvalidTransition, match="no turn left"):
        await talk.undo()


async def test_an_answer_goes_on_in_the_same_place_with_what_was_done_before_the_question(talk: Talk) -> None:
    step_id = await talk.submit("one", asks=True)
    waiting = await talk.machine.until(step_id)
    await talk.machine.worktrees_gone()
    with pytest.raises(errors.InvalidTransition, match="The last turn is waiting"):
        await talk.submit("two")
    asking = talk.machine.attempt(step_id)
    await talk.machine.answer(waiting, "left")
    step = await talk.machine.until(step_id, states.StepState.COMPLETED)
    assert json.loads(step.summary)["place"] == asking.attempt_id
    assert talk.said() == ["one", "left"]
    patch = talk.machine.content(talk.machine.result(step_id).patch)
    assert b"+one\n+left\n" in patch


async def test_a_closed_conversation_takes_no_turn(talk: Talk) -> None:
    await talk.say("one")
    await talk.machine.shop.database.write(
        "conversation_close",
        lambda tx: services.conversation_close(tx, conversation=talk._get(tx.connection)),
    )
    with pytest.raises(errors.InvalidTransition, match="closed"):
        await talk.submit("two")

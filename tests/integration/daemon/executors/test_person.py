"""`ide-chat`: a person does the step in its worktree and says so at a shell."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.daemon.door import Door, door_open
from tests.integration.daemon.machine import SETTLES_WITHIN_S, git, repository_make
from tests.integration.daemon.shell import Operator


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door_open(tmp_path_factory.mktemp("daemon") / "home") as opened:
        yield opened


@pytest.fixture
def operator(door: Door, tmp_path: Path) -> Operator:
    """Somebody in a repository of their own, which the daemon knows."""
    root = repository_make(tmp_path / "r")
    door.repository_add(root)
    return Operator(home=door.home, repository=root)


async def begun(operator: Operator) -> tuple[str, Path]:
    """A step that waits for the person, and the folder it gives them."""
    step_id = operator.ask("submit", "--executor", "ide-chat", "--goal", "Write a poem.")["step_id"]
    async with asyncio.timeout(SETTLES_WITHIN_S):
        while (said := await asyncio.to_thread(operator.say, "step", "folder", step_id)).code != 0:
            assert "waits for a person" in said.err or "not yours" in said.err, said
    return step_id, Path(said.out.strip())


async def test_what_the_person_did_is_what_the_step_came_to(operator: Operator) -> None:
    step_id, folder = await begun(operator)
    (folder / "poem.txt").write_text("Roses\n")
    assert operator.say("step", "done", step_id, "--words", "It rhymes.").code == 0
    assert operator.ask("step", "wait", step_id)["state"] == "completed"
    result = operator.ask("step", "result", step_id)
    assert ([change["path"] for change in result["changes"]], result["summary"]) == (["poem.txt"], "It rhymes.")


async def test_whoever_is_to_do_a_step_is_told_how(operator: Operator) -> None:
    said = operator.say("submit", "--executor", "ide-chat", "--goal", "Write a poem.", "--wait", "--timeout", "0.1")
    step_id = operator.ask("step", "list", "latest")["items"][0]["step_id"]
    assert (said.code, f"ropeway step done {step_id}" in said.err) == (27, True)
    operator.ask("step", "cancel", step_id)
    said = operator.say("submit", "--executor", "ide-chat", "--goal", "Write a poem.")
    step_id = operator.ask("step", "list", "latest")["items"][0]["step_id"]
    assert f"ropeway step folder {step_id}" in said.out
    operator.ask("step", "cancel", step_id)


async def test_a_person_may_give_up_or_ask(operator: Operator) -> None:
    step_id, _ = await begun(operator)
    assert operator.say("step", "done", step_id, "--failed", "--words", "No rhyme.").code == 0
    assert operator.say("step", "wait", step_id).code == 20
    assert operator.ask("step", "result", step_id)["failure"]["detail"] == "No rhyme."
    step_id, _ = await begun(operator)
    assert operator.say("step", "done", step_id, "--ask", "--words", "About what?").code == 0
    assert operator.say("step", "wait", step_id).code == 10
    assert operator.ask("step", "result", step_id)["question"] == "About what?"


async def test_a_step_that_waits_for_nobody_says_so(operator: Operator) -> None:
    step_id, _ = await begun(operator)
    operator.ask("step", "cancel", step_id)
    operator.say("step", "wait", step_id)
    for words in (("done", step_id), ("folder", step_id)):
        said = operator.say("step", *words)
        assert said.code != 0
        assert "No attempt waits for a person here" in said.err


async def test_the_worktree_that_was_kept_of_any_step_is_named(tmp_path: Path) -> None:
    """What a check could not be ended in, or what can't be recorded, is looked at there."""
    library = repository_make(tmp_path / "library")
    root = repository_make(tmp_path / "r")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "lib")
    git(root, "commit", "--quiet", "--message", "with a submodule")
    with door_open(tmp_path / "home") as door:
        door.repository_add(root)
        operator = Operator(home=door.home, repository=root)
        task = {"goal": "g", "executor": "fake-success", "params": {"files": {"lib/unrecorded.txt": "precious"}}}
        (tmp_path / "task.json").write_text(json.dumps(task))
        failed = operator.say("submit", "--task", str(tmp_path / "task.json"), "--json").document["step_id"]
        operator.say("step", "wait", failed)
        folder = Path(operator.say("step", "folder", failed).out.strip())
        assert (folder / "lib/unrecorded.txt").read_text() == "precious"
        done = operator.ask("submit", "--executor", "fake-success", "--goal", "g")["step_id"]
        operator.ask("step", "wait", done)
        async with asyncio.timeout(SETTLES_WITHIN_S):  # Its worktree goes once it has settled.
            while (await asyncio.to_thread(door.get, "/instance"))["at_work"]:
                pass
        said = operator.say("step", "folder", done)
        assert said.code != 0
        assert "No worktree of" in said.err

"""A talk takes what a step may have; anything else is refused as a bad request and changes nothing."""

from typing import Any

import pytest
from pydantic import ValidationError

from local_daemon.protocol import conversations, errors, limits
from tests.unit.daemon.operations.conftest import Desk

CHECK = {"name": "same", "command": "true"}


@pytest.mark.parametrize("base", ['"', "Ð", "-n", "a..b", "topic.lock", "", "a" * 201])
def test_a_base_that_is_no_plain_name_is_none_for_a_talk_either(base: str) -> None:
    with pytest.raises(ValidationError):
        conversations.ConversationBegin(executor="fake", base=base)


async def test_a_talk_with_the_executor_that_needs_a_patch_is_refused(desk: Desk) -> None:
    before = (await desk.call("events.list")).head_seq
    with pytest.raises(errors.InvalidRequest):
        await desk.call("conversations.begin", body={"executor": "patch"})
    assert (await desk.call("events.list")).head_seq == before


@pytest.mark.parametrize(
    "wrong", [{"validations": [CHECK, CHECK]}, {"params": {"said": "x" * limits.GOAL_BYTES}}], ids=["checks", "params"]
)
async def test_a_turn_that_no_step_could_be_is_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    talk = await desk.call("conversations.begin", body={"executor": "fake"})
    before = (await desk.call("events.list")).head_seq
    with pytest.raises(errors.InvalidRequest):
        await desk.call("conversations.say", body={"text": "hello", **wrong}, conversation_id=talk.conversation_id)
    assert (await desk.call("events.list")).head_seq == before

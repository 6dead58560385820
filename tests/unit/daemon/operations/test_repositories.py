"""Repositories become known by path, and the path is never heard of again."""

import pytest

from local_daemon.operations import registry
from local_daemon.protocol import errors, ids, messages
from local_daemon.protocol.operations import OPERATIONS
from tests.unit.daemon.operations.conftest import HEAD, Desk


async def test_adding_a_repository_again_returns_it(desk: Desk) -> None:
    again = await desk.call("repositories.add", body={"path": "/home/me/project", "label": "another"})
    assert (again.repository_id, again.label, again.default_branch) == (desk.repository_id, "project", "main")
    assert len((await desk.call("repositories.list")).items) == 1


async def test_repositories_come_in_pages(desk: Desk) -> None:
    other = (await desk.call("repositories.add", body={"path": "/home/me/other"})).repository_id
    first = await desk.call("repositories.list", query={"limit": 1})
    second = await desk.call("repositories.list", query={"limit": 1, "cursor": first.next_cursor})
    assert [item.repository_id for item in (*first.items, *second.items)] == [desk.repository_id, other]
    assert second.next_cursor is None


async def test_a_repository_is_found_by_its_folder(desk: Desk) -> None:
    other = (await desk.call("repositories.add", body={"path": "/home/me/other"})).repository_id
    (found,) = (await desk.call("repositories.list", query={"path": "/home/me/other"})).items
    assert found.repository_id == other


@pytest.mark.parametrize("path", ["relative/path", "/home/me/nothing"])
async def test_what_is_no_repository_is_refused(desk: Desk, path: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="path"):
        await desk.call("repositories.add", body={"path": path})


async def test_a_repository_shows_its_head_now_and_its_log(desk: Desk) -> None:
    await desk.run_id()
    view = await desk.call("repositories.get")
    assert (view.head_commit, view.head_seq) == (HEAD, 1)
    assert "/home" not in view.model_dump_json()


async def test_events_come_in_order_from_a_position(desk: Desk) -> None:
    await desk.submit(await desk.run_id())
    page = await desk.call("events.list", query={"after_seq": 1, "limit": 1})
    assert ([event.seq for event in page.items], page.head_seq) == ([2], 3)
    assert page.log_id == (await desk.call("repositories.get")).log_id


async def test_the_daemon_says_who_it_is(desk: Desk) -> None:
    assert isinstance(await desk.call("instance.get"), messages.InstanceView)


@pytest.mark.parametrize(
    "name", sorted(name for name, operation in OPERATIONS.items() if "repository_id" in operation.parameters)
)
async def test_nothing_is_found_through_another_repository(desk: Desk, name: str) -> None:
    run_id = await desk.run_id()
    step = await desk.submit(run_id, gates={"before": True})
    other = (await desk.call("repositories.add", body={"path": "/home/me/other"})).repository_id
    talk = await desk.call("conversations.begin", body={"executor": "fake"})
    known = {
        "run_id": run_id,
        "step_id": step.step_id,
        "gate_id": step.gate_id or "",
        "conversation_id": talk.conversation_id,
    }
    unknown = {"artifact_id": ids.new_id(ids.IdPrefix.ARTIFACT)}
    parameters = {key: {**known, **unknown}[key] for key in OPERATIONS[name].parameters if key != "repository_id"}
    task = {"goal": "g", "executor": "fake"}
    bodies = {
        "repositories.relocate": {"path": "/home/me/project"},
        "runs.create": {"objective": "o"},
        "manifests.submit": {"objective": "o", "steps": [{"name": "a", "task": task}]},
        "conversations.begin": {"executor": "fake"},
        "conversations.say": {"text": "hello"},
        "steps.submit": {"task": task},
        "steps.apply": {"digest": "0" * 64},
        "steps.resolve": {"resolution": "accept"},
        "gates.decide": {"decision": "reject"},
    }
    before = (await desk.call("events.list")).head_seq
    repository_id = other if parameters else ids.new_id(ids.IdPrefix.REPOSITORY)
    with pytest.raises(errors.NotFound):
        await desk.call(name, body=bodies.get(name), repository_id=repository_id, **parameters)
    assert (await desk.call("events.list")).head_seq == before


@pytest.mark.parametrize("run_id", ["", "run_../../etc", "run_x; rm -rf /", "step_01arz3ndektsv4rrffq69g5fav"])
async def test_a_malformed_id_is_refused_and_named(desk: Desk, run_id: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        await desk.call("runs.get", run_id=run_id)
    assert refused.value.attributes["errors"] == [{"field": "run_id", "problem": "not an id of this kind"}]


async def test_a_body_of_another_operation_is_refused(desk: Desk) -> None:
    with pytest.raises(errors.InvalidRequest, match="RunCreate"):
        await registry.call_operation(
            desk.context,
            OPERATIONS["runs.create"],
            parameters={"repository_id": desk.repository_id},
            query=None,
            body=messages.Empty(),
            call_id=None,
            actor="",
        )

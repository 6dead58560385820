"""A repository that was moved stays the same one, and one that is forgotten stays on record."""

import pytest

from local_daemon.protocol import errors, ids
from tests.unit.daemon.operations.conftest import Desk


async def test_a_repository_is_known_at_its_new_place_and_no_more_at_its_old_one(desk: Desk) -> None:
    moved = await desk.call("repositories.relocate", body={"path": "/home/me/elsewhere"})
    assert (moved.repository_id, moved.label, moved.results_missing) == (desk.repository_id, "project", 0)
    assert (await desk.call("repositories.list", query={"path": "/home/me/project"})).items == ()
    (found,) = (await desk.call("repositories.list", query={"path": "/home/me/elsewhere"})).items
    assert found.repository_id == desk.repository_id
    assert (
        await desk.call("repositories.add", body={"path": "/home/me/elsewhere"})
    ).repository_id == desk.repository_id
    assert "/home" not in moved.model_dump_json()


async def test_where_another_repository_is_known_none_is_relocated_to(desk: Desk) -> None:
    other = (await desk.call("repositories.add", body={"path": "/home/me/other"})).repository_id
    with pytest.raises(errors.InvalidTransition) as refused:
        await desk.call("repositories.relocate", body={"path": "/home/me/other"})
    assert refused.value.attributes["repository_id"] == other
    again = await desk.call("repositories.relocate", body={"path": "/home/me/project"})
    assert again.repository_id == desk.repository_id


@pytest.mark.parametrize("path", ["relative/path", "/home/me/nothing"])
async def test_a_repository_is_not_relocated_to_what_is_none(desk: Desk, path: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="path"):
        await desk.call("repositories.relocate", body={"path": path})


async def test_a_forgotten_repository_is_in_no_list_and_its_history_is_read_as_before(desk: Desk) -> None:
    run_id = await desk.run_id()
    await desk.call("repositories.forget")
    assert (await desk.call("repositories.list")).items == ()
    assert (await desk.call("runs.get", run_id=run_id)).run_id == run_id
    assert (await desk.call("repositories.get")).head_seq == (await desk.call("events.list")).head_seq == 1
    assert (await desk.call("repositories.forget")).repository_id == desk.repository_id


async def test_a_forgotten_repository_takes_no_new_work(desk: Desk) -> None:
    run_id = await desk.run_id()
    await desk.call("repositories.forget")
    with pytest.raises(errors.InvalidTransition, match="forgotten"):
        await desk.submit(run_id)
    with pytest.raises(errors.InvalidTransition, match="forgotten"):
        await desk.run_id()
    assert (await desk.call("events.list")).head_seq == 1


async def test_where_a_forgotten_repository_was_another_one_begins(desk: Desk) -> None:
    await desk.call("repositories.forget")
    added = await desk.call("repositories.add", body={"path": "/home/me/project"})
    assert added.repository_id != desk.repository_id
    assert added.head_seq == 0


async def test_a_forgotten_repository_is_known_again_where_it_is_relocated_to(desk: Desk) -> None:
    run_id = await desk.run_id()
    await desk.call("repositories.forget")
    await desk.call("repositories.relocate", body={"path": "/home/me/project"})
    await desk.submit(run_id)
    (known,) = (await desk.call("repositories.list")).items
    assert known.repository_id == desk.repository_id


@pytest.mark.parametrize("gates", [{}, {"before": True}], ids=["queued", "waiting"])
async def test_a_repository_with_work_to_do_is_not_forgotten_but_relocated(desk: Desk, gates: dict[str, bool]) -> None:
    run_id = await desk.run_id()
    await desk.submit(run_id, gates=gates)
    with pytest.raises(errors.InvalidTransition) as refused:
        await desk.call("repositories.forget")
    assert refused.value.attributes["run_id"] == run_id
    await desk.call("repositories.relocate", body={"path": "/home/me/elsewhere"})
    await desk.call("runs.cancel", run_id=run_id)
    await desk.call("repositories.forget")


@pytest.mark.parametrize(("name", "body"), [("relocate", {"path": "/home/me/project"}), ("forget", None)])
async def test_an_unknown_repository_is_neither_relocated_nor_forgotten(
    desk: Desk, name: str, body: dict[str, str] | None
) -> None:
    unknown = ids.new_id(ids.IdPrefix.REPOSITORY)
    with pytest.raises(errors.NotFound):
        await desk.call(f"repositories.{name}", body=body, repository_id=unknown)


async def test_the_same_call_relocates_once(desk: Desk) -> None:
    call_id = ids.new_id(ids.IdPrefix.CALL)
    body = {"path": "/home/me/elsewhere"}
    first = await desk.call("repositories.relocate", body=body, call_id=call_id)
    await desk.call("repositories.relocate", body={"path": "/home/me/project"})
    assert await desk.call("repositories.relocate", body=body, call_id=call_id) == first
    (known,) = (await desk.call("repositories.list", query={"path": "/home/me/project"})).items
    assert known.repository_id == desk.repository_id

"""A whole Ropeway at work: what leaves the machine, who may see it, and who may ask for it."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.integration.daemon.machine import repository_make
from tests.journeys.world import World, command

PYTHON = sys.executable


def test_a_call_started_by_the_worker_is_executed_and_answered_without_redis(world: World) -> None:
    script = (
        "import django; django.setup(); from tests.journeys import worker_task; "
        f"print(worker_task.enqueue({world.tenant.project_id!r}))"
    )
    done = command(world, [PYTHON, "-c", script])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith("run_"), done.stdout
    assert world.call("GET", f"/runs/{done.stdout.strip()}")["objective"] == "asked by the worker"


def test_a_hundred_concurrent_submissions_are_a_hundred_steps_each_executed_once(world: World) -> None:
    run_id = world.run()
    before = world.starts_per_attempt()
    with ThreadPoolExecutor(20) as pool:
        steps = list(
            pool.map(
                lambda n: world.submit(run_id, executor="fake-success", params={"files": {f"{n}.txt": "x"}}), range(100)
            )
        )
        ended = list(pool.map(world.settle, steps))
    assert len(set(steps)) == 100
    assert {step["state"] for step in ended} == {"completed"}
    started = {attempt: count for attempt, count in world.starts_per_attempt().items() if attempt not in before}
    assert (len(started), set(started.values())) == (100, {1})
    world.agree(steps)


def test_nothing_that_leaves_the_machine_names_a_path_of_it(world: World) -> None:
    run_id = world.run()
    failing = {"name": "shows-its-place", "command": "pwd; env; echo $HOME >&2; cat /nowhere"}
    steps = [
        world.submit(run_id, executor="fake-success", validations=[failing]),
        world.submit(run_id, executor="fake-success", base="nowhere"),
        world.submit(run_id, executor="patch", patch="--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"),
        world.submit(run_id, executor="fake-failure"),
    ]
    world.agree([world.settle(step)["step_id"] for step in steps])
    said = [
        json.dumps(world.call("GET", f"/steps/{step}{detail}"))
        for step in steps
        for detail in ("", "/task", "/result", "/attempts", "/validations", "/artifacts", "/log")
    ]
    said += [json.dumps(world.call("GET", path)) for path in ("/repository", "/runs", "/gates")]
    said.append(json.dumps(world.call("GET", "/events", limit=200)))
    with world.database() as connection:
        for table in (
            "runs_runsnapshot",
            "runs_stepsnapshot",
            "runs_runevent",
            "audit_auditevent",
            "connectors_location",
        ):
            said += [row[0] for row in connection.execute(f"SELECT row_to_json(t)::text FROM {table} t").fetchall()]
    for root in (str(world.stack.root), "/worktrees/", str(world.stack.daemon_home)):
        assert not [text for text in said if root in text]


def test_another_tenants_token_finds_nothing_and_leaves_its_denial_in_its_own_audit(world: World) -> None:
    other = world.stack.bootstrap(organization="Globex", project="theirs", email="owner@globex.example")
    run_id = world.run()
    base = f"{world.stack.url}/api/v2/projects/{world.tenant.project_id}"
    with httpx.Client(headers={"Authorization": f"Bearer {other.token}"}, timeout=45) as stranger:
        for method, path in (("GET", "/runs"), ("GET", f"/runs/{run_id}"), ("POST", "/runs"), ("GET", "/repository")):
            body = {"objective": "mine now"} if method == "POST" else None
            answer = stranger.request(method, base + path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert [item["name"] for item in stranger.get(f"{world.stack.url}/api/v2/projects").json()["items"]] == [
            "theirs"
        ]
    with world.database() as connection:
        denied = connection.execute(
            "SELECT count(*) FROM audit_auditevent WHERE event_type = 'call:denied' AND organization_id = %s",
            [other.organization_id],
        ).fetchone()
    assert denied == (4,)


def test_an_unshared_repository_is_not_found_from_outside_at_once(world: World) -> None:
    second = repository_make(world.stack.root / "second")
    hidden = world.stack.ropeway("repository", "add", str(second))["repository_id"]
    discovered = command(world, [PYTHON, "-m", "connector_agent.cli", "discover", "--json"])
    assert {item["repository_id"]: item["is_shared"] for item in json.loads(discovered.stdout)} == {
        world.repository_id: True, hidden: False,
    }  # fmt: skip
    answer = world._http.get(
        f"{world.stack.url}/api/v2/projects/{world.tenant.project_id}/runs", params={"location": hidden}
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

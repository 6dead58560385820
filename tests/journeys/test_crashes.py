"""Kill -9 at every failpoint, with real processes: nothing acknowledged is lost, nothing is done twice, all agree.

The failpoints are read from the code. Each belongs to one journey below; one that belongs to none fails
`test_every_failpoint_belongs_to_a_journey`.
"""

import contextlib
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from deploy.stack.processes import NotReady
from tests.integration.daemon.machine import repository_make
from tests.journeys.failpoints import Failpoint, failpoints_find
from tests.journeys.world import World, command, document, world_open

PATCH = """\
diff --git a/patched.txt b/patched.txt
new file mode 100644
--- /dev/null
+++ b/patched.txt
@@ -0,0 +1 @@
+patched
"""
PYTHON = sys.executable
CLOUDCTL = [PYTHON, "-m", "cloud.cloudctl.main"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_open(tmp_path_factory.mktemp("world")) as opened:
        yield opened


# -- the story: everything a planner does, with whichever process dying on the way


def tell(world: World) -> list[str]:
    """Do everything that a planner does; answers the steps, all of them settled."""
    run_id = world.run()
    patched = world.submit(run_id, executor="patch", patch=PATCH, gates={"after": "always"})
    checks = [{"name": "look", "command": "grep -q plain plain.txt"}]
    plain = world.submit(run_id, executor="fake-success", params={"files": {"plain.txt": "plain"}}, validations=checks)
    planned = plan(world)
    retried = world.submit(run_id, executor="fake-failure", retry={"max_attempts": 2, "on": ["executor"]})
    impossible = world.submit(run_id, executor="fake-success", base="nowhere")
    asking = world.submit(run_id, executor="fake-blocker")
    endless = world.submit(run_id, executor="fake-timeout")
    expect_approved(world, patched)
    assert world.finish(plain)["state"] == "completed"
    assert patch_of(world, plain).startswith("diff --git a/plain.txt")
    assert world.finish(retried)["failure"]["kind"] == "executor"
    assert world.finish(impossible)["failure"]["kind"] == "workspace"
    expect_answered(world, asking)
    world.cancel(endless)
    assert world.settle(endless)["state"] in {"cancelled", "failed"}
    assert world.call("POST", f"/runs/{run_id}/close", {})["run"]["is_closed"]
    assert world.finish(planned)["state"] == "completed"
    cancelled = world.run()
    world.call("POST", f"/runs/{cancelled}/cancel", {"reason": "enough"})
    return [patched, plain, planned, retried, impossible, asking, endless]


def plan(world: World) -> str:
    """A run submitted whole; answers its one step."""
    task = {"goal": "Do as planned.", "executor": "fake-success"}
    manifest = {"objective": "Go as planned.", "steps": [{"name": "only", "task": task}]}
    return str(world.call("POST", "/manifests", manifest)["steps"][0]["step_id"])


def expect_approved(world: World, step_id: str) -> None:
    step = world.finish(step_id)
    assert step["state"] == "waiting", step
    gate = world.call("GET", f"/gates/{step['gate_id']}")
    decision = {"decision": "approve", "digest": gate["digest"]}
    world.call("POST", f"/gates/{gate['gate_id']}/decide", decision)
    assert world.settle(step_id)["state"] == "completed"
    assert "+patched" in patch_of(world, step_id)


def expect_answered(world: World, step_id: str) -> None:
    step = world.finish(step_id)
    assert step["state"] == "waiting", step
    world.call("POST", f"/gates/{step['gate_id']}/decide", {"decision": "answer", "answer": "left"})
    assert world.finish(step_id)["state"] == "completed"


def patch_of(world: World, step_id: str) -> str:
    return world.content(world.call("GET", f"/steps/{step_id}/result")["patch"]["artifact_id"])


# -- journeys: how each kind of failpoint is reached


def story(world: World, failpoint: Failpoint) -> None:
    """It lies on the way of the story."""
    process = {"cloud": world.stack.cloud, "local_daemon": world.stack.daemon, "connector_agent": world.stack.connector}
    with world.armed(process[failpoint.component], failpoint.name) as died:
        steps = tell(world)
        assert died.wait(25), f"the story never came past {failpoint.name}"
    world.agree(steps)
    world.verify()


def story_with_a_lost_link(world: World, failpoint: Failpoint) -> None:
    """It lies where a link ends with calls on it."""
    with world.armed(world.stack.cloud, failpoint.name) as died:
        run_id = world.run()
        endless = world.submit(run_id, executor="fake-timeout")
        world.stack.connector.kill()
        world.stack.start_connector()
        assert died.wait(30), f"a lost link never came past {failpoint.name}"
        world.cancel(endless)
        world.settle(endless)
    world.agree([endless])
    world.verify()


def recovery(world: World, failpoint: Failpoint) -> None:
    """It lies in what a daemon does about its predecessor's unfinished attempts."""
    run_id = world.run()
    if "requeue" in failpoint.name:
        world.restart(world.stack.daemon, ROPEWAY_FAILPOINT="daemon.attempt_start.before_commit")
        with ThreadPoolExecutor(1) as pool:
            submitting = pool.submit(world.submit, run_id, executor="fake-success")
            assert world.stack.daemon.wait_for_exit(timeout_s=20) == -signal.SIGKILL
            arm_and_start(world, failpoint)
            step_id = submitting.result()
        assert world.finish(step_id)["state"] == "completed"
    else:
        step_id = world.submit(run_id, executor="fake-timeout")
        world.until(step_id, "running")
        world.stack.daemon.kill()
        for worktree in (world.stack.daemon_home / "worktrees").iterdir():
            worktree.rename(world.repository.parent / f"lost-{worktree.name}")
        shutil.rmtree(world.repository / ".git" / "worktrees")
        if "step_lost" in failpoint.name:
            arm_and_start(world, failpoint)
            assert world.settle(step_id)["state"] == "needs_attention"
            world.call("POST", f"/steps/{step_id}/resolve", {"resolution": "failed"})
        else:
            world.stack.start_daemon()
            assert world.settle(step_id)["state"] == "needs_attention"
            with world.armed(world.stack.daemon, failpoint.name) as died:
                world.call("POST", f"/steps/{step_id}/resolve", {"resolution": "failed"})
                assert died.wait(5)
        assert world.settle(step_id)["state"] == "failed"
    world.agree([step_id])
    world.verify()


def arm_and_start(world: World, failpoint: Failpoint) -> None:
    """Start the daemon armed; it dies while it recovers, or soon after; then it is started for good."""
    with contextlib.suppress(NotReady):
        world.stack.start_daemon(ROPEWAY_FAILPOINT=failpoint.name)
    assert world.stack.daemon.wait_for_exit(timeout_s=20) == -signal.SIGKILL
    world.stack.start_daemon()


def retry(world: World, failpoint: Failpoint) -> None:
    """It lies where a person tries a failed step again."""
    step_id = world.submit(world.run(), executor="fake-failure")
    assert world.settle(step_id)["state"] == "failed"
    with world.armed(world.stack.daemon, failpoint.name) as died:
        world.call("POST", f"/steps/{step_id}/retry", {})
        assert died.wait(10)
    assert world.finish(step_id)["state"] == "failed"
    world.agree([step_id])
    world.verify()


def denial(world: World, failpoint: Failpoint) -> None:
    """It lies where a call is refused."""
    with world.armed(world.stack.cloud, failpoint.name) as died:
        for _ in range(2):
            with contextlib.suppress(httpx.TransportError):
                world._http.get(f"{world.stack.url}/api/v2/projects/01900000-0000-7000-8000-000000000000/runs")
        assert died.wait(10)
    world.verify()


def bootstrap_command(world: World, failpoint: Failpoint) -> None:
    """It lies in a command of the operator, who types it again."""
    name = f"org {failpoint.name}"
    argv = [*CLOUDCTL, "bootstrap", "--organization", name, "--project", "p", "--email", "second@acme.example"]
    assert command(world, [*argv, "--json"], failpoint=failpoint.name).returncode == -signal.SIGKILL
    assert document(command(world, [*argv, "--token", "--json"]))["token"]
    world.verify()


def enroll_code_command(world: World, failpoint: Failpoint) -> None:
    """It lies where an operator makes a code."""
    argv = [*CLOUDCTL, "enroll-code", "create", "--project", world.tenant.project_id, "--json"]
    assert command(world, argv, failpoint=failpoint.name).returncode == -signal.SIGKILL
    assert document(command(world, argv))["code"]
    world.verify()


def enrollment(world: World, failpoint: Failpoint) -> None:
    """It lies where a machine enrolls, which does it again with the same code and key."""
    code = document(
        command(world, [*CLOUDCTL, "enroll-code", "create", "--project", world.tenant.project_id, "--json"])
    )["code"]
    home = world.repository.parent / f"second-{failpoint.name}"
    argv = [
        PYTHON,
        "-m",
        "connector_agent.cli",
        "--home",
        str(home),
        "enroll",
        "--cloud",
        world.stack.url,
        "--code",
        code,
    ]
    if failpoint.component == "connector_agent":
        assert command(world, argv, failpoint=failpoint.name).returncode == -signal.SIGKILL
    else:
        with world.armed(world.stack.cloud, failpoint.name) as died:
            command(world, argv)
            assert died.wait(10)
    done = command(world, argv)
    assert done.returncode == 0, done.stderr
    world.verify()


def repository_add(world: World, failpoint: Failpoint) -> None:
    """It lies where the operator adds a repository."""
    argv = [PYTHON, "-m", "local_daemon.cli", "repository", "add", str(world.repository), "--json"]
    with world.armed(world.stack.daemon, failpoint.name) as died:
        command(world, argv)
        assert died.wait(10)
    assert document(command(world, argv))["repository_id"] == world.repository_id
    world.verify()


def relocation(world: World, failpoint: Failpoint) -> None:
    """It lies where the operator says that a repository was moved, or has it forgotten."""
    place = repository_make(world.repository.with_name(failpoint.name))
    ropeway = [PYTHON, "-m", "local_daemon.cli", "repository"]
    repository_id = document(command(world, [*ropeway, "add", str(place), "--json"]))["repository_id"]
    moved = str(place.rename(place.with_name(f"{failpoint.name}-moved")))
    words = ["relocate", repository_id, moved] if "relocate" in failpoint.name else ["forget", repository_id]
    with world.armed(world.stack.daemon, failpoint.name) as died:
        command(world, [*ropeway, *words, "--json"])
        assert died.wait(10)
    assert document(command(world, [*ropeway, *words, "--json"]))["repository_id"] == repository_id
    world.verify()


def in_process(world: World, failpoint: Failpoint) -> None:
    """It lies in what only the admin or the worker calls: called as they do, killed there, called again."""
    argv = [PYTHON, "-m", "tests.journeys.admin_acts", failpoint.name.split(".")[1], world.tenant.project_id]
    assert command(world, argv, failpoint=failpoint.name).returncode == -signal.SIGKILL
    done = command(world, argv)
    assert done.returncode == 0, done.stderr
    world.verify()


def application(world: World, failpoint: Failpoint) -> None:
    """It lies where a result is brought onto a branch, or can't be."""
    step_id = world.submit(world.run(), executor="fake-success", params={"files": {"applied.txt": "applied"}})
    assert world.finish(step_id)["state"] == "completed"
    digest = world.call("GET", f"/steps/{step_id}/result")["patch"]["sha256"]
    is_refusal = "refuse" in failpoint.name
    branch = "main" if is_refusal else f"applied-{failpoint.name}"
    with world.armed(world.stack.daemon, failpoint.name) as died:
        body = {"digest": digest, "mode": "export", "branch": branch}
        answer = world.call("POST", f"/steps/{step_id}/apply", body)
        assert died.wait(10)
    assert answer["application"]["state"] == ("refused" if is_refusal else "applied")
    ended = world.call("GET", f"/steps/{step_id}/applications")["items"]
    assert all(each["state"] != "planned" for each in ended)
    world.agree([step_id])
    world.verify()


def conversation(world: World, failpoint: Failpoint) -> None:
    """It lies on the way of a talk."""

    def ask(path: str, body: dict[str, object]) -> dict[str, object]:
        return world.call("POST", f"/conversations{path}", body)

    with world.armed(world.stack.daemon, failpoint.name) as died:
        place = f"/{ask('', {'executor': 'fake-success'})['conversation_id']}"
        ask(f"{place}/turns", {"text": "hello"})
        step_id = world.call("GET", f"/conversations{place}")["turns"][0]["step_id"]
        assert world.finish(step_id)["state"] == "completed"
        ask(f"{place}/undo", {})
        ask(f"{place}/close", {})
        assert died.wait(10)
    view = world.call("GET", f"/conversations{place}")
    assert (view["state"], len(view["turns"]), view["turns"][0]["is_undone"]) == ("closed", 1, True)
    world.agree([step_id])
    world.verify()


def retention(world: World, failpoint: Failpoint) -> None:
    """It lies where old evidence goes."""
    run_id = world.run()
    step_id = world.submit(run_id, executor="fake-success", params={"files": {"old.txt": "old"}})
    assert world.finish(step_id)["state"] == "completed"
    world.call("POST", f"/runs/{run_id}/close", {})
    settings = world.stack.daemon_home / "daemon.toml"
    settings.write_text("[retention]\nevidence_bytes = 0\nevidence_days_min = 0\nrefs_days = 0\n")
    try:
        world.stack.daemon.kill()
        arm_and_start(world, failpoint)
        document(command(world, [PYTHON, "-m", "local_daemon.cli", "gc", "--json"]))
        result = world.call("GET", f"/steps/{step_id}/result")
        assert (result["patch"]["expired_at"] is not None, result["ref"]) == (True, None)
    finally:
        settings.unlink()
        world.restart(world.stack.daemon)
    world.agree([step_id])
    world.verify()


def folder(world: World, failpoint: Failpoint) -> None:
    """It lies where a folder without git is taken as it is."""
    notes = world.repository.parent / f"notes-{failpoint.name}"
    notes.mkdir()
    (notes / "a.txt").write_text("one")
    ropeway = [PYTHON, "-m", "local_daemon.cli"]
    document(command(world, [*ropeway, "repository", "add", str(notes), "--json"]))
    submit = [*ropeway, "submit", "--repository", str(notes), "--executor", "fake-success", "--goal", "g", "--json"]
    with world.armed(world.stack.daemon, failpoint.name) as died:
        command(world, submit)
        assert died.wait(20)
    done = document(command(world, [*ropeway, "run", "list", "--repository", str(notes), "--json"]))
    assert len(done["items"]) == 1
    world.verify()


Journey = Callable[[World, Failpoint], None]
JOURNEYS: dict[str, Journey] = {
    **dict.fromkeys(
        ("attempt_collect attempt_exit attempt_give_up attempt_lease attempt_start due_close epoch_begin "
         "gate_decide run_cancel run_close run_create manifest_submit step_cancel step_conclude step_submit "
         "call_accept call_answer call_send events_apply audit_seal link_open link_heartbeat advertise_apply "
         "cursors_open call_forward events_send call_sweep"
         ).split(), story),
    **dict.fromkeys(["link_close", "call_link_lost"], story_with_a_lost_link),
    **dict.fromkeys(["attempt_requeue", "step_lost", "step_resolve"], recovery),
    **dict.fromkeys(
        ["organization_ensure", "workspace_ensure", "project_ensure", "membership_ensure", "token_mint"],
        bootstrap_command,
    ),
    **dict.fromkeys(
        ("token_revoke token_change tenancy_change connector_status_set connector_change connector_claim "
         "connector_register call_deadline limits_change limit_tell usage_fold audit_export audit_prune "
         "run_schedule_change run_schedule_due run_firing_end run_firing_wait").split(),
        in_process,
    ),
    **dict.fromkeys(["poll_begin", "poll_page", "poll_end", "sign_in"], in_process),
    **dict.fromkeys(["audit_rollup", "call_empty", "feed_prune", "presence_prune", "person_tell"], in_process),
    **dict.fromkeys(["token_refuse", "link_refuse", "page_deny", "claim_guess"], in_process),
    "step_retry": retry,
    **dict.fromkeys(
        ["conversation_begin", "conversation_say", "conversation_undo", "conversation_close"], conversation
    ),
    **dict.fromkeys(["application_plan", "application_refuse", "application_end"], application),
    "call_deny": denial,
    "enrollment_code_create": enroll_code_command,
    "connector_enroll": enrollment,
    "enrollment_save": enrollment,
    "repository_add": repository_add,
    **dict.fromkeys(["repository_relocate", "repository_forget"], relocation),
    **dict.fromkeys(["evidence_expire", "evidence_remove", "refs_expire", "refs_remove"], retention),
    "folder_snapshot": folder,
}  # fmt: skip

FAILPOINTS = failpoints_find()
IN_EVERY_RUN = {
    "daemon.attempt_exit.after_commit",
    "cloud.call_answer.before_commit",
    "connector.call_forward.after_commit",
}
"""One of each component; all the others are for `make test-long`."""


def label(failpoint: Failpoint) -> str:
    return failpoint.name.split(".")[1]


def test_every_failpoint_belongs_to_a_journey() -> None:
    assert {label(failpoint) for failpoint in FAILPOINTS} == set(JOURNEYS)


@pytest.mark.parametrize(
    "failpoint",
    [
        pytest.param(failpoint, id=failpoint.name, marks=() if failpoint.name in IN_EVERY_RUN else pytest.mark.long)
        for failpoint in FAILPOINTS
    ],
)
def test_a_kill_loses_nothing_and_does_nothing_twice(world: World, failpoint: Failpoint) -> None:
    JOURNEYS[label(failpoint)](world, failpoint)

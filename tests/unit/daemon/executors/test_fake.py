"""The fakes: real processes that behave as told, and leave a line for each start."""

import os

import pytest

from local_daemon.executors import fake, launching, port
from local_daemon.processes import process_table


def make(behaviour: fake.Behaviour) -> fake.FakeExecutor:
    return fake.FakeExecutor(behaviour, starts_file=None)


async def test_success_changes_a_file_and_reports(run, tree, tmp_path):
    done = await run(make(fake.Behaviour.SUCCESS))
    assert done.report == port.ExecutorReport(outcome=port.Outcome.SUCCEEDED, summary="done as asked")
    assert (tree / "fake-success.txt").read_text() == "try it\n"
    assert (tmp_path / "scratch/starts").read_text().startswith("att_")


async def test_success_writes_the_files_it_is_given_and_says_what_it_used(run, tree):
    files = {"a.txt": "", "deep/er/b c": "$HOME `id`\n%s\\n", "-n": "x"}
    done = await run(make(fake.Behaviour.SUCCESS), params={"files": files, "usage": {"model": "m", "input_tokens": 3}})
    assert {path: (tree / path).read_text() for path in files} == files
    assert done.report.usage == port.Usage(model="m", input_tokens=3)


async def test_failure_says_why_and_keeps_what_it_wrote(run, tree):
    done = await run(make(fake.Behaviour.FAILURE), params={"files": {"half": "x"}, "detail": "no luck"})
    assert (done.report.outcome, done.report.detail) == (port.Outcome.FAILED, "no luck")
    assert (tree / "half").exists()


async def test_blocker_asks_and_with_the_answer_succeeds(run, tree):
    asked = await run(make(fake.Behaviour.BLOCKER), params={"questions": ["Tabs or spaces?"]})
    assert (asked.report.outcome, asked.report.questions) == (port.Outcome.QUESTION, ("Tabs or spaces?",))
    answered = await run(make(fake.Behaviour.BLOCKER), answer="spaces")
    assert answered.report.outcome is port.Outcome.SUCCEEDED
    assert (tree / "fake-blocker.txt").read_text() == "spaces\n"


@pytest.mark.parametrize("ignore_term", [False, True])
async def test_timeout_runs_until_it_is_ended_with_its_child(task, tree, tmp_path, ignore_term):
    os.mkfifo(tmp_path / "started")
    executor = fake.FakeExecutor(fake.Behaviour.TIMEOUT, starts_file=tmp_path / "started")
    running = launching.attempt_launch(
        executor,
        task(params={"files": {"partial": "x"}, "ignore_term": ignore_term}),
        operator_environment={},
        passed_names=(),
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
    ).release()
    assert (tmp_path / "started").read_text().startswith("att_")
    with pytest.raises(TimeoutError):
        await running.wait(0.05)
    assert (await running.terminate(grace_s=0.1)).confirmed
    assert process_table.started_at(running.pid) is None
    left = [entry for entry in process_table.all_entries() if entry.session == running.pid]
    assert [entry for entry in left if not entry.has_ended] == []


@pytest.mark.parametrize("path", ["../x", "/tmp/x", ".git/config", "a/../../x", "", "dir/", "way/x", "way"])
def test_a_path_outside_the_worktree_is_refused(task, tree, tmp_path, path):
    (tree / "way").symlink_to(tmp_path)
    with pytest.raises(port.TaskUnsuitable):
        make(fake.Behaviour.SUCCESS).prepare(task(params={"files": {path: "x"}}))


@pytest.mark.parametrize(
    "params",
    [
        {"files": ["x"]},
        {"files": {"x": 1}},
        {"sleep_s": -1},
        {"sleep_s": "1; rm"},
        {"usage": {"cost": 1}},
        {"usage": 1},
    ],
)
def test_params_of_the_wrong_shape_are_refused(task, params):
    with pytest.raises(port.TaskUnsuitable):
        make(fake.Behaviour.SUCCESS).prepare(task(params=params))


@pytest.mark.parametrize("params", [{"questions": []}, {"questions": "why"}, {"questions": [1]}])
def test_questions_of_the_wrong_shape_are_refused(task, params):
    with pytest.raises(port.TaskUnsuitable):
        make(fake.Behaviour.BLOCKER).prepare(task(params=params))

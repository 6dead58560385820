"""The CLIs themselves, through a real daemon, against a model that does as it is told.

What `make test` plays from recordings, done for real: `make test-executors`. When a new version of a CLI says something
else, this suite notices; then record anew (docs/executors.md).
"""

import pytest

from local_daemon.processes import ending, process_table
from tests.executors.conftest import Bench
from tests.executors.dialects import CACHED_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS
from tests.executors.model_server import Script
from tests.integration.daemon.machine import git

MADE = "made-by-the-model.txt"


@pytest.fixture(autouse=True)
def obedient(bench: Bench) -> None:
    """Every test begins with a model that makes a file."""
    bench.model.follow(Script())


def test_it_is_found_with_its_version(bench: Bench) -> None:
    executors = {each["name"]: each for each in bench.door.get("/instance")["executors"]}
    assert executors[bench.login.cli]["is_available"]


def test_it_edits_a_file_and_all_of_it_is_on_record(bench: Bench) -> None:
    result = bench.do(goal="Make the file.")
    assert result["failure"] is None, result["failure"]["detail"]
    assert [(change["status"], change["path"]) for change in result["changes"]] == [("A", MADE)]
    assert git(bench.repository, "show", f"{result['ref']}:{MADE}") == "hello-from-the-model\n"
    assert result["summary"] == "The file is there."
    usage = result["usage"]
    assert usage["output_tokens"] >= 2 * OUTPUT_TOKENS
    assert usage["input_tokens"] >= 2 * INPUT_TOKENS
    assert usage["cached_input_tokens"] >= 2 * CACHED_TOKENS
    assert (usage["cost_usd"] is not None) == bench.login.counts_cost
    assert usage["model"] == (bench.login.model if bench.login.reports_model else None)
    assert bench.attempts(result["step_id"])[-1]["thread_id"]
    assert "Make the file." in bench.model.asked[0].text


def test_the_operators_key_is_in_no_log(bench: Bench) -> None:
    result = bench.do(goal="Make the file.")
    for artifact in result["artifacts"]:
        content = bench.door.http.get(
            f"http://localhost/api/v1/repositories/{bench.repository_id}/artifacts/{artifact['artifact_id']}/content"
        ).text
        assert "scripted-key" not in content
        assert str(bench.door.home) not in content


def test_a_profile_that_only_reads_changes_nothing(bench: Bench) -> None:
    result = bench.do(goal="Make the file.", profile=f"{bench.login.cli}-reader")
    assert result["changes"] == []


def test_a_model_that_knows_it_not_is_a_matter_of_its_login(bench: Bench) -> None:
    bench.model.follow(Script(status=401))
    result = bench.do(goal="Make the file.")
    assert result["state"] == "failed"
    assert (result["failure"]["kind"], result["failure"]["cause"]) == ("executor", "auth")
    assert "127.0.0.1" in result["failure"]["detail"] or "401" in result["failure"]["detail"]


def test_a_model_that_fails_is_told_or_waited_for_until_the_time_is_up(bench: Bench) -> None:
    bench.model.follow(Script(status=500))
    result = bench.do(goal="Make the file.", timeout_s=25)
    assert result["state"] == "failed"
    if bench.login.gives_up:
        assert (result["failure"]["kind"], result["failure"]["cause"]) == ("executor", "service")
        assert result["failure"]["retryable"]
    else:
        assert result["failure"]["kind"] == "timeout"


def test_a_cancel_in_the_middle_leaves_no_process(bench: Bench) -> None:
    bench.model.follow(Script(hangs=True))
    step_id = bench.submit(goal="Make the file.")
    assert bench.model.was_asked.wait(60)
    attempt_id = bench.attempts(step_id)[-1]["attempt_id"]
    assert _alive(attempt_id)
    bench.post(f"/steps/{step_id}/cancel", {"reason": "enough"})
    assert bench.settle(step_id)["state"] == "cancelled"
    assert not _alive(attempt_id)


def test_an_answer_goes_on_in_the_thread_that_asked(bench: Bench) -> None:
    bench.model.follow(Script(command=None, last_word="I must know.\nQUESTION: Tabs or spaces?"))
    step_id = bench.submit(goal="Make the file as I like it.")
    waiting = bench.settle(step_id)
    assert (waiting["state"], waiting["question"]) == ("waiting", "Tabs or spaces?")
    bench.model.follow(Script())
    bench.post(f"/gates/{waiting['gate_id']}/decide", {"decision": "answer", "answer": "Tabs, of course."})
    result = bench.settle(step_id)
    assert result["failure"] is None, result["failure"]["detail"]
    assert [change["path"] for change in result["changes"]] == [MADE]
    work = bench.model.asked[-1].text
    assert all(words in work for words in ("Make the file as I like it.", "Tabs or spaces?", "Tabs, of course."))
    first, second = bench.attempts(step_id)
    assert first["thread_id"] == second["thread_id"]
    assert second["usage"]["output_tokens"] == 2 * OUTPUT_TOKENS


def test_as_an_agent_it_asks_before_it_runs_a_command_and_goes_on_when_allowed(bench: Bench) -> None:
    if bench.login.acp is None:
        pytest.skip("it does not speak the Agent Client Protocol by itself")
    step_id = bench.submit(goal="Make the file.", executor=f"{bench.login.cli}-acp", profile=None)
    waiting = bench.settle(step_id)
    assert waiting["state"] == "waiting", waiting
    assert waiting["question"].startswith("It asks for permission:")
    assert waiting["changes"] == []
    bench.post(f"/gates/{waiting['gate_id']}/decide", {"decision": "answer", "answer": "allow"})
    result = bench.settle(step_id)
    assert result["failure"] is None, result["failure"]["detail"]
    assert [change["path"] for change in result["changes"]] == [MADE], bench.said(step_id)
    assert result["summary"] == "The file is there."


def _alive(attempt_id: str) -> list[int]:
    entries = process_table.all_entries()
    return [e.pid for e in entries if not e.has_ended and process_table.carries(e.pid, ending.MARKER, attempt_id)]

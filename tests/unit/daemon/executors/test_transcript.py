"""What a stream and an exit code mean together, and what a run of a longer thread cost by itself."""

import json

import pytest

from local_daemon.executors import claude, jsonl, port, transcript
from local_daemon.processes import children
from local_daemon.protocol.states import FailureCause

WELL = children.ExitStatus(exit_code=0)


@pytest.fixture
def judge(tmp_path):
    """The report of a run that told this, ended so, and left that on standard error."""

    def judge(told, status=WELL, stderr=""):
        path = tmp_path / "stderr"
        path.write_text(stderr)
        return transcript.report_build(told, status, stderr=path)

    return judge


def test_finished_and_exit_code_zero_is_success(judge):
    report = judge(transcript.Transcript(is_finished=True, message="Done."))
    assert (report.outcome, report.summary) == (port.Outcome.SUCCEEDED, "Done.")


def test_its_own_questions_outrank_those_in_its_words(judge):
    told = transcript.Transcript(is_finished=True, message="QUESTION: In words?", questions=["Asked with a tool?"])
    assert judge(told).questions == ("Asked with a tool?",)


def test_a_failed_run_asks_nothing(judge):
    told = transcript.Transcript(is_finished=True, message="QUESTION: Which?")
    told.fail("429 Too Many Requests")
    report = judge(told)
    assert (report.outcome, report.questions, report.is_retryable) == (port.Outcome.FAILED, (), True)
    assert report.cause is FailureCause.RATE_LIMIT


@pytest.mark.parametrize(
    ("status", "stderr", "cause", "detail"),
    [
        (children.ExitStatus(exit_code=1), "Not logged in", FailureCause.AUTH, "exit code 1: Not logged in"),
        (children.ExitStatus(exit_code=1), "", FailureCause.CRASHED, "exit code 1"),
        (children.ExitStatus(signal=11), "", FailureCause.CRASHED, "ended by SIGSEGV"),
        (children.ExitStatus(signal=15), "401", FailureCause.CRASHED, "ended by SIGTERM: 401"),
        (children.ExitStatus(exit_code=143), "401", FailureCause.CRASHED, "exit code 143 (as after SIGTERM): 401"),
        (children.ExitStatus(exit_code=127), "", FailureCause.CRASHED, "its program could not be run"),
    ],
)
def test_without_an_error_of_its_own_the_end_is_the_error(judge, status, stderr, cause, detail):
    report = judge(transcript.Transcript(), status, stderr)
    assert (report.cause, report.detail) == (cause, detail)


def test_very_long_words_are_cut(judge):
    told = transcript.Transcript()
    told.fail("x" * 1_000_000)
    assert len(judge(told).detail) <= 2000
    assert len(judge(transcript.Transcript(), children.ExitStatus(exit_code=1), "y\n" * 1_000_000).detail) <= 2000


def test_what_is_unknown_stays_unknown():
    told = transcript.Transcript()
    told.spend(input_tokens=5)
    told.spend(input_tokens=7, output_tokens=1)
    assert told.usage == port.Usage(input_tokens=12, output_tokens=1)
    since = transcript.usage_since(port.Usage(input_tokens=12, output_tokens=3), port.Usage(input_tokens=10))
    assert since == port.Usage(input_tokens=2)


def test_a_thread_that_counts_less_than_before_is_not_believed():
    assert transcript.usage_since(port.Usage(input_tokens=1), port.Usage(input_tokens=10)).input_tokens is None


def _answer(answer_id: str, output_tokens: int) -> bytes:
    told = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": output_tokens}
    return json.dumps({"type": "assistant", "message": {"id": answer_id, "usage": told}}).encode()


def test_claude_tells_what_its_answers_cost_before_it_has_ended() -> None:
    reading = transcript.Reading(claude.CLAUDE.read)
    for line in (_answer("msg_1", 1), _answer("msg_1", 20), b"not json", _answer("msg_2", 7)):
        reading.read(line)
    assert reading.usage == port.Usage(input_tokens=30, cached_input_tokens=10, output_tokens=27)


def test_an_answer_told_again_in_parts_counts_as_it_was_told_last_among_many_others() -> None:
    told = transcript.Transcript()
    for number in range(100):
        told.answer(f"msg_{number}", input_tokens=1, output_tokens=2)
        told.answer(f"msg_{number}", input_tokens=3)
        told.answer(f"msg_{number}", input_tokens=3, output_tokens=5)
    assert told.usage == port.Usage(input_tokens=300, output_tokens=500)


def test_claudes_result_counts_all_of_its_answers_once() -> None:
    reading = transcript.Reading(claude.CLAUDE.read)
    told = {"input_tokens": 100, "output_tokens": 40}
    result = {"type": "result", "subtype": "success", "usage": told, "total_cost_usd": 0.5}
    for line in (_answer("msg_1", 20), json.dumps(result).encode()):
        reading.read(line)
    assert reading.usage == port.Usage(input_tokens=100, output_tokens=40, cost_usd=0.5)


def test_of_a_message_without_end_the_beginning_is_held():
    told = transcript.Transcript()
    for _ in range(40):
        told.say("x" * 100_000)
    told.say(5)
    assert len(told.message) < transcript.MESSAGE_CHARACTERS_MAX + 100_000


def test_of_refusals_questions_and_answers_without_end_a_bounded_number_is_held():
    told = transcript.Transcript()
    for number in range(3 * transcript.ANSWERS_MAX):
        told.refuse("a tool")
        told.ask("Which?")
        told.answer(f"answer {number}", output_tokens=1)
    assert (len(told.refusals), len(told.questions)) == (transcript.LISTED_MAX, transcript.LISTED_MAX)
    assert told.usage.output_tokens == 3 * transcript.ANSWERS_MAX


def test_usage_beyond_what_a_record_can_hold_stays_within_it():
    told = transcript.Transcript()
    for _ in range(3):
        told.spend(output_tokens=jsonl.TOKENS_MAX, cost_usd=float(jsonl.TOKENS_MAX))
        told.answer("one more", input_tokens=jsonl.TOKENS_MAX)
        told.answer("and one", input_tokens=jsonl.TOKENS_MAX)
    used = told.usage
    assert (used.input_tokens, used.output_tokens, used.cost_usd) == (jsonl.TOKENS_MAX,) * 3


def test_why_it_failed_is_found_in_words_without_end(judge):
    told = transcript.Transcript()
    told.fail("rate limit reached " + "permission denied " * 500_000)
    assert judge(told).cause is FailureCause.RATE_LIMIT

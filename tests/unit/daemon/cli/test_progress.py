from datetime import UTC, datetime
from typing import Any

import pytest

from local_daemon.cli import progress
from local_daemon.client.http import DaemonClient
from local_daemon.protocol import errors, events, messages, specs, states


def _record(event_type: events.EventType, data: dict[str, Any]) -> events.EventRecord:
    return events.EventRecord(
        seq=1, type=event_type, at=datetime(2026, 1, 2, tzinfo=UTC), data=data, prev_hash="0" * 64, hash="1" * 64
    )


@pytest.mark.parametrize(
    ("event_type", "data", "line"),
    [
        (events.EventType.STEP_CHANGED, {"step": {"state": "needs_attention"}}, "needs attention"),
        (events.EventType.VALIDATION_RECORDED, {"validation": {"name": "t", "verdict": "passed"}}, "check t: passed"),
        (
            events.EventType.GATE_OPENED,
            {"gate": {"reason": "asked for", "gate_id": "gate_x"}},
            "gate: asked for; see `ropeway gate show gate_x`",
        ),
        (events.EventType.ARTIFACT_RECORDED, {"artifact": {}}, None),
    ],
)
def test_an_event_is_a_line_if_it_says_something(
    event_type: events.EventType, data: dict[str, Any], line: str | None
) -> None:
    assert progress.event_line(_record(event_type, data)) == line


def _step(state: states.StepState, *, second: int) -> messages.StepView:
    at = datetime(2026, 1, 2, 3, 4, second, tzinfo=UTC)
    return messages.StepView(
        step_id="step_x",
        run_id="run_x",
        repository_id="repo_x",
        title="t",
        executor="patch",
        state=state,
        attempts=1,
        task_digest="0" * 64,
        created_at=at,
        updated_at=at,
    )


@pytest.mark.parametrize(
    ("changed", "is_told"),
    [
        (_step(states.StepState.QUEUED, second=1), True),
        (_step(states.StepState.RUNNING, second=2), True),
        (_step(states.StepState.COLLECTING, second=2), False),
        (_step(states.StepState.RUNNING, second=3), False),
        # A clock that was set back must leave nobody waiting for ever.
        (_step(states.StepState.COMPLETED, second=1), False),
    ],
)
def test_what_was_read_of_a_step_is_not_told_again_when_its_event_arrives(
    changed: messages.StepView, is_told: bool
) -> None:
    running = _step(states.StepState.RUNNING, second=2)
    assert progress.is_told(changed, before=running) is is_told


def test_a_step_that_a_daemon_of_another_version_moves_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    running = _step(states.StepState.RUNNING, second=2)
    page = messages.EventPage(repository_id="repo_x", log_id="log_x", items=(), head_seq=0)
    chunk = messages.LogChunk(
        stream="stdout", attempt_id=None, offset=0, next_offset=0, size_bytes=0, is_complete=False, text=""
    )
    moved = {**running.model_dump(mode="json"), "state": "of a later version"}
    record = _record(events.EventType.STEP_CHANGED, {"step": moved}).model_copy(update={"step_id": running.step_id})
    answers = {messages.EventPage: page, messages.LogChunk: chunk, messages.StepView: running}
    monkeypatch.setattr(DaemonClient, "call", lambda client, name, answer, **_: answers[answer])
    monkeypatch.setattr(DaemonClient, "events_follow", lambda *_, **__: iter([record]))
    monkeypatch.setattr(DaemonClient, "log_follow", lambda *_, **__: iter(()))
    client = DaemonClient(socket_path="", token="", timeout_s=0)
    with pytest.raises(errors.ProtocolMismatch):
        progress.step_follow(client, running, timeout_s=None, is_quiet=False)


def test_a_result_reads_as_verdict_changes_checks_what_was_said_and_what_may_be_done_with_it() -> None:
    result = specs.ResultSpec(
        run_id="run_x",
        step_id="step_x",
        state=states.StepState.COMPLETED,
        executor="patch",
        summary="patch applied",
        warnings=("careful",),
        changes=(
            specs.ChangedFile(path="b", old_path="a", status="R", additions=1, deletions=0),
            specs.ChangedFile(path="c.png", status="A"),
        ),
        changes_total=3,
        ref="refs/ropeway/x",
        evidence=specs.EvidenceView(artifact_id="art_x", digest="d" * 64, signature="s", public_key="k"),
    )
    assert list(progress.result_lines(result, said=["  | done"])) == [
        "step_x is completed: patch applied",
        "  warning: careful",
        "  R a -> b  +1 -0",
        "  A c.png  binary",
        "  and 1 more file",
        "  kept at refs/ropeway/x",
        "  | done",
        "  read it:      ropeway step patch step_x",
        "  take it over: ropeway apply step_x",
        "  evidence:     dddddddddddddddd, signed; `ropeway verify` checks it",
    ]

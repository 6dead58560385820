"""Whatever planners, a scheduler and people do to runs, steps and gates, in whatever order, the record stays true."""

import itertools
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local_daemon.gates import lifecycle as gate_lifecycle
from local_daemon.gates import selectors as gate_selectors
from local_daemon.gates import services as gates
from local_daemon.protocol import errors, specs
from local_daemon.protocol.states import (
    RUN_TERMINAL,
    STEP_TERMINAL,
    FailureKind,
    GateDecision,
    GateKind,
    GateState,
    RunState,
    StepEvent,
    StepState,
)
from local_daemon.runs import lifecycle as run_lifecycle
from local_daemon.runs import selectors as run_selectors
from local_daemon.runs import services as runs
from local_daemon.runs.records import Run
from local_daemon.steps import lifecycle as step_lifecycle
from local_daemon.steps import results
from local_daemon.steps import selectors as step_selectors
from local_daemon.steps import services as steps
from local_daemon.steps.records import Step
from local_daemon.storage import event_log
from local_daemon.storage.transaction import Transaction
from tests.record import DIGEST, Record

FAILURE = specs.Failure(kind=FailureKind.EXECUTOR, detail="it broke")


PICK = st.integers(min_value=0, max_value=5)
"""Which of the steps or runs that fit."""

UNTOUCHABLE = {StepState.WAITING, StepState.NEEDS_ATTENTION, *STEP_TERMINAL}
"""States that the scheduler does not move."""


def some(*states: StepState):  # type: ignore[no-untyped-def]
    """A rule's precondition: there is a step in one of these states."""
    return precondition(lambda machine: bool(machine.steps_in(*states)))


class RecordMachine(RuleBasedStateMachine):
    """Random work on one repository."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.record = Record(Path(self.folder.name))
        self.repository = self.record.repository()
        self.completed: set[str] = set()
        self.ended_runs: dict[str, RunState] = {}
        self.runs_seen: tuple[int, tuple[Run, ...]] = (-1, ())
        self.steps_seen: tuple[int, tuple[Step, ...]] = (-1, ())

    def teardown(self) -> None:
        self.record.close()
        self.folder.cleanup()

    @precondition(lambda machine: not machine.all_runs() or len(machine.all_steps()) in (2, 5))
    @rule()
    def create_run(self) -> None:
        self.record.run(self.repository)

    @precondition(lambda machine: machine.all_runs() and len(machine.all_steps()) < 6)
    @rule(pick=PICK, before=st.booleans(), name=st.sampled_from([None, "one"]))
    def submit(self, pick: int, before: bool, name: str | None) -> None:
        run = self.all_runs()[pick % len(self.all_runs())]
        task = specs.TaskSpec(goal="g", executor="fake", gates=specs.GateRules(before=before))
        named = [step for step in self.all_steps() if step.run_id == run.run_id and step.name == name is not None]
        known = named[0] if named else None
        try:
            step = self.record.step(run, task, name)
        except errors.InvalidTransition:
            assert run.is_closed or run.is_cancel_requested or run.state in RUN_TERMINAL
        except errors.IdempotencyConflict:
            assert known is not None
            assert known.task_digest != task.digest()
        else:
            assert known is None or (step, step.task_digest) == (known, task.digest())

    @some(*set(StepState) - UNTOUCHABLE)
    @rule(pick=PICK, which=PICK)
    def work(self, pick: int, which: int) -> None:
        """The scheduler moves a step by an event that may happen."""
        step = self.pick(pick, *set(StepState) - UNTOUCHABLE)
        possible = sorted(
            event for state, event in step_lifecycle.TRANSITIONS if state is step.state and event is not StepEvent.GATED
        )
        event = possible[which % len(possible)]
        if event is StepEvent.LEASED:
            self.record.lease(step)
        else:
            self.record.advance(step, event, failure=FAILURE)

    @some(*StepState)
    @rule(pick=PICK, event=st.sampled_from(StepEvent))
    def refuse(self, pick: int, event: StepEvent) -> None:
        """What the lifecycle has no place for changes nothing."""
        step = self.pick(pick, *StepState)
        if (step.state, event) not in step_lifecycle.TRANSITIONS:
            with pytest.raises(errors.InvalidTransition):
                self.record.advance(step, event, failure=FAILURE)
            assert self.record.step_now(step) == step

    @some(StepState.QUEUED)
    @rule(pick=PICK)
    def work_through(self, pick: int) -> None:
        """An executor ended; its changes are recorded."""
        self.record.work(self.pick(pick, StepState.QUEUED))

    @some(StepState.COLLECTING, StepState.VALIDATING)
    @rule(pick=PICK, kind=st.sampled_from([GateKind.AFTER, GateKind.QUESTION]))
    def gate(self, pick: int, kind: GateKind) -> None:
        step = self.pick(pick, StepState.COLLECTING, StepState.VALIDATING)

        def apply(tx: Transaction) -> None:
            steps.step_gate(
                tx,
                step_id=step.step_id,
                attempt_id=None,
                kind=kind,
                reason="look",
                digest=DIGEST,
                question="which?" if kind is GateKind.QUESTION else None,
                expires_at=tx.now + timedelta(days=10),
            )
            runs.run_refresh(tx, run_id=step.run_id)

        self.record.write(apply)

    @some(StepState.WAITING)
    @rule(pick=PICK, decision=st.sampled_from(GateDecision))
    def decide(self, pick: int, decision: GateDecision) -> None:
        waiting = self.pick(pick, StepState.WAITING)
        gate = gate_selectors.gate_get(
            self.record.connection, str(waiting.gate_id), repository_id=self.repository.repository_id
        )

        def apply(tx: Transaction) -> Step:
            decided = gates.gate_decide(
                tx,
                gate_id=gate.gate_id,
                repository_id=gate.repository_id,
                decision=decision,
                digest=gate.digest,
                comment="",
                answer="this" if decision is GateDecision.ANSWER else None,
                decided_by="somebody",
            )
            moved = steps.step_gate_closed(tx, gate=decided)
            runs.run_refresh(tx, run_id=moved.run_id)
            return moved

        try:
            moved = self.record.write(apply)
        except errors.InvalidRequest:
            assert decision not in gate_lifecycle.DECISIONS_BY_KIND[gate.kind]
            assert self.record.step_now(waiting) == waiting
        else:
            assert moved.state is (StepState.FAILED if decision is GateDecision.REJECT else waiting.resume_to)
            assert moved.is_before_gate_passed >= (decision is GateDecision.APPROVE and gate.kind is GateKind.BEFORE)
            assert moved.answer == ("this" if decision is GateDecision.ANSWER else waiting.answer)

    @some(StepState.WAITING)
    @rule(days=st.integers(min_value=1, max_value=11))
    def pass_time(self, days: int) -> None:
        self.record.pass_time(days * 86_400 + 1)

        def apply(tx: Transaction) -> None:
            for gate in gates.gates_expire_due(tx):
                moved = steps.step_gate_closed(tx, gate=gate)
                runs.run_refresh(tx, run_id=moved.run_id)

        self.record.write(apply)

    @some(*StepState)
    @rule(pick=PICK)
    def cancel_step(self, pick: int) -> None:
        step = self.pick(pick, *StepState)
        try:
            moved = self.record.write(lambda tx: self._cancel(tx, step))
        except errors.InvalidTransition:
            assert step.state in (StepState.COMPLETED, StepState.FAILED, StepState.NEEDS_ATTENTION)
        else:
            assert moved.is_cancel_requested or step.state is StepState.CANCELLED
            assert moved.state is (step.state if step.state in step_lifecycle.AT_WORK else StepState.CANCELLED)

    @some(StepState.NEEDS_ATTENTION)
    @rule(pick=PICK, resolution=st.sampled_from(["failed", "retry", "accept"]))
    def resolve(self, pick: int, resolution: Literal["failed", "retry", "accept"]) -> None:
        step = self.pick(pick, StepState.NEEDS_ATTENTION)
        run = run_selectors.run_load(self.record.connection, step.run_id)

        def apply(tx: Transaction) -> None:
            steps.step_resolve(tx, step_id=step.step_id, resolution=resolution, comment="seen")
            if resolution == "retry":
                runs.run_reopen(tx, run_id=step.run_id)
            else:
                runs.run_refresh(tx, run_id=step.run_id)

        try:
            self.record.write(apply)
        except errors.InvalidTransition:
            assert resolution == "retry"
            assert run.is_cancel_requested

    @some(StepState.FAILED, StepState.CANCELLED)
    @rule(pick=PICK)
    def retry(self, pick: int) -> None:
        step = self.pick(pick, StepState.FAILED, StepState.CANCELLED)
        run = run_selectors.run_load(self.record.connection, step.run_id)

        def apply(tx: Transaction) -> None:
            steps.step_retry(tx, step_id=step.step_id)
            runs.run_reopen(tx, run_id=step.run_id)

        try:
            self.record.write(apply)
        except errors.InvalidTransition:
            assert run.is_cancel_requested
        else:
            self.ended_runs.pop(step.run_id, None)

    @precondition(lambda machine: len(machine.all_steps()) >= 3)
    @rule(pick=PICK)
    def close_run(self, pick: int) -> None:
        run = self.all_runs()[pick % len(self.all_runs())]
        try:
            self.record.write(lambda tx: runs.run_close(tx, run_id=run.run_id))
        except errors.InvalidTransition:
            assert run.is_cancel_requested

    @precondition(lambda machine: len(machine.all_steps()) >= 4)
    @rule(pick=PICK)
    def cancel_run(self, pick: int) -> None:
        run = self.all_runs()[pick % len(self.all_runs())]
        try:
            self.record.write(lambda tx: runs.run_cancel_request(tx, run_id=run.run_id, reason="enough"))
        except errors.InvalidTransition:
            assert run.state in RUN_TERMINAL
        else:
            unfinished = {step.state for step in self.all_steps() if step.run_id == run.run_id} - STEP_TERMINAL
            assert unfinished <= step_lifecycle.AT_WORK | {StepState.NEEDS_ATTENTION}

    def _cancel(self, tx: Transaction, step: Step) -> Step:
        moved = steps.step_cancel_request(tx, step_id=step.step_id, reason="enough")
        runs.run_refresh(tx, run_id=step.run_id)
        return moved

    # Every precondition and every invariant asks for both: they are read again once something was written.

    def all_runs(self) -> tuple[Run, ...]:
        connection = self.record.connection
        if self.runs_seen[0] != connection.total_changes:
            found, _ = run_selectors.runs_list(
                connection, self.repository.repository_id, state=None, limit=1000, cursor=None
            )
            self.runs_seen = (connection.total_changes, found)
        return self.runs_seen[1]

    def all_steps(self) -> tuple[Step, ...]:
        connection = self.record.connection
        if self.steps_seen[0] != connection.total_changes:
            found = (
                step_selectors.steps_list(connection, run.run_id, limit=1000, cursor=None)[0] for run in self.all_runs()
            )
            self.steps_seen = (connection.total_changes, tuple(itertools.chain.from_iterable(found)))
        return self.steps_seen[1]

    def steps_in(self, *states: StepState) -> list[Step]:
        return [step for step in self.all_steps() if step.state in states]

    def pick(self, pick: int, *states: StepState) -> Step:
        fitting = self.steps_in(*states)
        return fitting[pick % len(fitting)]

    @invariant()
    def every_log_holds(self) -> None:
        assert event_log.log_verify(self.record.connection, self.repository.repository_id).holds

    @invariant()
    def a_completed_step_stays_completed(self) -> None:
        for step in self.all_steps():
            if step.step_id in self.completed:
                assert step.state is StepState.COMPLETED
            if step.state is StepState.COMPLETED:
                self.completed.add(step.step_id)

    @invariant()
    def a_run_is_what_its_steps_are_and_stays_ended(self) -> None:
        for run in self.all_runs():
            counts = step_selectors.step_counts(self.record.connection, [run.run_id])[run.run_id]
            derived = run_lifecycle.derive(
                closed=run.is_closed,
                cancelled=run.is_cancel_requested,
                step_states=[StepState(word) for word in counts],
                failure_rule=run.failure_rule,
            )
            if run.run_id in self.ended_runs:
                assert run.state is self.ended_runs[run.run_id]
            else:
                assert run.state is derived
            if run.state in RUN_TERMINAL:
                self.ended_runs[run.run_id] = run.state

    @invariant()
    def exactly_the_waiting_steps_have_an_open_gate(self) -> None:
        for step in self.all_steps():
            open_gates = self.record.connection.execute(
                "SELECT gate_id FROM gates WHERE step_id = ? AND state = ?", (step.step_id, GateState.OPEN)
            ).fetchall()
            assert [row["gate_id"] for row in open_gates] == ([step.gate_id] if step.gate_id else [])
            assert (step.state is StepState.WAITING) == bool(open_gates)

    @invariant()
    def a_followers_last_word_is_the_record(self) -> None:
        """Whoever applies every event, in order, has the newest view of everything."""
        told: dict[str, object] = {}
        for event in event_log.events_after(self.record.connection, self.repository.repository_id, 0, 100_000):
            for noun, view in event.data.items():
                told[view[f"{noun}_id"]] = view
        for run in self.all_runs():
            view = run_selectors.run_counted(self.record.connection, run).model_dump(mode="json")
            newest = told[run.run_id]
            assert isinstance(newest, dict)
            assert {**newest, "updated_at": None} == {**view, "updated_at": None}
        for step in self.all_steps():
            assert told[step.step_id] == step_selectors.step_view(step).model_dump(mode="json")

    @invariant()
    def every_step_has_a_result_in_its_own_state(self) -> None:
        for step in self.all_steps():
            result = results.step_result(self.record.connection, step)
            assert result.state is step.state
            assert (result.failure is not None) >= (step.state is StepState.FAILED)
            assert (result.ended_at is not None) == (step.state in STEP_TERMINAL)


RecordMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
test_the_record_stays_true = RecordMachine.TestCase

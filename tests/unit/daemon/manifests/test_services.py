"""A manifest becomes a run whole, and its steps begin when what they need has completed, never otherwise."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_daemon.gates import selectors as gates
from local_daemon.manifests import selectors, services
from local_daemon.manifests.records import Manifest
from local_daemon.protocol import errors, messages, specs
from local_daemon.protocol.manifests import RunManifest
from local_daemon.protocol.states import FailureKind, RunState, StepEvent, StepState
from local_daemon.repositories.records import Repository
from local_daemon.runs import selectors as runs
from local_daemon.runs import services as run_services
from local_daemon.steps import selectors as steps
from local_daemon.steps import services as step_services
from local_daemon.steps.records import Step
from tests.record import Record

TASK = {"goal": "g", "executor": "fake"}
FAILURE = specs.Failure(kind=FailureKind.EXECUTOR, detail="it broke")


def stated(needs: dict[str, list[str]], **fields: Any) -> RunManifest:
    made = [{"name": name, "task": TASK, "depends_on": waited} for name, waited in needs.items()]
    return RunManifest.model_validate({"objective": "o", "steps": made, **fields})


def submit(record: Record, repository: Repository, manifest: RunManifest) -> tuple[Manifest, bool]:
    return record.write(
        lambda tx: services.manifest_submit(tx, repository_id=repository.repository_id, manifest=manifest, policies=())
    )


def view(record: Record, manifest: Manifest) -> messages.ManifestView:
    return selectors.manifest_view(record.connection, manifest)


def leasable(record: Record) -> list[Step]:
    return list(steps.steps_leasable(record.connection, repository_most=100, executors_full=()))


def end(record: Record, step: Step, event: StepEvent) -> None:
    record.work(step)
    record.advance(step, event, failure=FAILURE if event is StepEvent.FAILED else None)


def retry(record: Record, step_id: str) -> None:
    def apply(tx: Any) -> None:
        step = step_services.step_retry(tx, step_id=step_id)  # type: ignore[arg-type]
        run_services.run_reopen(tx, run_id=step.run_id)

    record.write(apply)


def named(record: Record, manifest: Manifest) -> dict[str, messages.ManifestStepView]:
    return {step.name: step for step in view(record, manifest).steps}


def test_only_what_waits_for_nothing_may_begin_and_in_parallel(record: Record) -> None:
    manifest, created = submit(record, record.repository(), stated({"a": [], "b": [], "c": ["a", "b"]}))
    assert created
    assert [step.name for step in leasable(record)] == ["a", "b"]
    end(record, leasable(record)[0], StepEvent.SUCCEEDED)
    assert named(record, manifest)["c"].waits_for == ("b",)
    end(record, leasable(record)[0], StepEvent.SUCCEEDED)
    end(record, leasable(record)[0], StepEvent.SUCCEEDED)
    assert view(record, manifest).run.state is RunState.COMPLETED


def test_a_failure_stops_everything_that_has_not_begun(record: Record) -> None:
    manifest, _ = submit(record, record.repository(), stated({"a": [], "b": [], "c": ["a"]}))
    end(record, leasable(record)[0], StepEvent.FAILED)
    found = named(record, manifest)
    assert {name: step.state.value for name, step in found.items()} == {
        "a": "failed", "b": "cancelled", "c": "cancelled",
    }  # fmt: skip
    assert found["b"].not_started_because == "not started, because a is failed"
    assert view(record, manifest).run.state is RunState.FAILED


@pytest.mark.parametrize("fate", [StepEvent.FAILED, StepEvent.CANCELLED])
def test_a_run_that_stops_asks_nobody_about_what_has_not_begun(record: Record, fate: StepEvent) -> None:
    made = [{"name": "a", "task": TASK}, {"name": "b", "task": {**TASK, "gates": {"before": True}}}]
    stated_so = RunManifest.model_validate({"objective": "o", "on_failure": "stop", "steps": made})
    manifest, _ = submit(record, record.repository(), stated_so)
    end(record, leasable(record)[0], fate)
    assert named(record, manifest)["b"].not_started_because == f"not started, because a is {fate}"
    assert gates.gate_next_expiry(record.connection) is None
    assert view(record, manifest).run.state.value == str(fate)


def test_with_continue_only_what_depends_on_it_does_not_begin(record: Record) -> None:
    needs = {"a": [], "b": [], "c": ["a"], "d": ["c"]}
    manifest, _ = submit(record, record.repository(), stated(needs, on_failure="continue"))
    end(record, leasable(record)[0], StepEvent.FAILED)
    assert [step.name for step in leasable(record)] == ["b"]
    assert named(record, manifest)["d"].not_started_because == "not started, because a is failed"
    end(record, leasable(record)[0], StepEvent.SUCCEEDED)
    assert view(record, manifest).run.state is RunState.FAILED


def test_retrying_what_failed_lets_the_others_wait_again(record: Record) -> None:
    manifest, _ = submit(record, record.repository(), stated({"a": [], "b": ["a"], "c": ["b"]}))
    end(record, leasable(record)[0], StepEvent.FAILED)
    with pytest.raises(errors.InvalidTransition, match="retry that one"):
        retry(record, named(record, manifest)["c"].step_id)
    retry(record, named(record, manifest)["a"].step_id)
    assert view(record, manifest).run.state is RunState.RUNNING
    for name in "abc":
        assert [step.name for step in leasable(record)] == [name]
        end(record, leasable(record)[0], StepEvent.SUCCEEDED)
    assert view(record, manifest).run.state is RunState.COMPLETED


def test_a_gate_before_a_step_that_cannot_begin_is_withdrawn_and_asked_again_once_it_can(record: Record) -> None:
    made = {"name": "b", "task": {**TASK, "gates": {"before": True}}, "depends_on": ["a"]}
    stated_so = RunManifest.model_validate({"objective": "o", "steps": [{"name": "a", "task": TASK}, made]})
    manifest, _ = submit(record, record.repository(), stated_so)
    end(record, leasable(record)[0], StepEvent.FAILED)
    assert named(record, manifest)["b"].state is StepState.CANCELLED
    retry(record, named(record, manifest)["a"].step_id)
    end(record, leasable(record)[0], StepEvent.SUCCEEDED)
    assert (named(record, manifest)["b"].state, leasable(record)) == (StepState.WAITING, [])
    assert view(record, manifest).run.state is RunState.WAITING


def test_a_run_whose_steps_wait_for_a_gated_one_waits(record: Record) -> None:
    made = [
        {"name": "a", "task": {**TASK, "gates": {"before": True}}},
        {"name": "b", "task": TASK, "depends_on": ["a"]},
    ]
    manifest, _ = submit(record, record.repository(), RunManifest.model_validate({"objective": "o", "steps": made}))
    assert view(record, manifest).run.state is RunState.WAITING


def test_the_same_name_is_the_same_run_or_refused(record: Record) -> None:
    repository = record.repository()
    first, _ = submit(record, repository, stated({"a": []}, name="nightly"))
    again, created = submit(record, repository, stated({"a": []}, name="nightly"))
    assert (again, created) == (first, False)
    with pytest.raises(errors.IdempotencyConflict):
        submit(record, repository, stated({"a": [], "b": []}, name="nightly"))
    record.run(repository, name="plain")
    with pytest.raises(errors.IdempotencyConflict):
        submit(record, repository, stated({"a": []}, name="plain"))


def test_cancelling_the_run_ends_every_step(record: Record) -> None:
    manifest, _ = submit(record, record.repository(), stated({"a": [], "b": ["a"]}))
    record.write(lambda tx: run_services.run_cancel_request(tx, run_id=manifest.run_id, reason="enough"))
    assert {step.state for step in view(record, manifest).steps} == {StepState.CANCELLED}
    assert runs.run_load(record.connection, manifest.run_id).state is RunState.CANCELLED


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    names = "abcdef"[: draw(st.integers(1, 6))]
    return {
        name: sorted(draw(st.sets(st.sampled_from(names[:index])))) if index else [] for index, name in enumerate(names)
    }


@settings(max_examples=40, deadline=None)
@given(
    needs=graphs(),
    rule=st.sampled_from(["stop", "continue"]),
    fates=st.lists(
        st.sampled_from([StepEvent.SUCCEEDED, StepEvent.FAILED, StepEvent.CANCELLED]), min_size=20, max_size=20
    ),
    picks=st.lists(st.integers(0, 5), min_size=20, max_size=20),
)
def test_whatever_happens_nothing_begins_too_early_and_every_run_ends(
    needs: dict[str, list[str]], rule: str, fates: list[StepEvent], picks: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Record(Path(folder))) as record:
        manifest, _ = submit(record, record.repository(), stated(needs, on_failure=rule))
        began: set[str] = set()
        for fate, pick in zip(fates, picks, strict=True):
            ready = leasable(record)
            if not ready:
                break
            step = ready[pick % len(ready)]
            found = named(record, manifest)
            assert step.name is not None
            assert all(found[name].state is StepState.COMPLETED for name in needs[step.name])
            assert step.name not in began
            began.add(step.name)
            end(record, step, fate)
        found = named(record, manifest)
        assert all(step.state in {"completed", "failed", "cancelled"} for step in found.values())
        state = view(record, manifest).run.state
        ended = {step.state for step in found.values()}
        without_failure = RunState.CANCELLED if StepState.CANCELLED in ended else RunState.COMPLETED
        assert state is (RunState.FAILED if StepState.FAILED in ended else without_failure)

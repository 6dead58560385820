"""Writes of applications: planned before git is touched, ended afterwards; each with its event, in one transaction.

Called by operation handlers. Tests: tests/integration/daemon/test_applying.py.
"""

from local_daemon.applications import lifecycle, selectors, store
from local_daemon.applications.records import Application
from local_daemon.protocol import events, ids
from local_daemon.protocol.states import ApplicationEvent, ApplicationState
from local_daemon.steps.records import Step
from local_daemon.storage import event_log, texts
from local_daemon.storage.transaction import Transaction


def application_record(
    tx: Transaction,
    *,
    step: Step,
    attempt_id: ids.AttemptId,
    mode: str,
    branch: str,
    digest: str,
    before_commit: str | None,
    after_commit: str | None,
    requested_by: str,
    comment: str,
    refusal: str | None = None,
    conflicts: tuple[str, ...] = (),
) -> Application:
    """Put on record what will be done; with `refusal`, what can't be."""
    state = ApplicationState.PLANNED
    if refusal is not None:
        state = lifecycle.next_state(state, ApplicationEvent.REFUSED)
    application_id = ids.ApplicationId(ids.new_id(ids.IdPrefix.APPLICATION))
    store.application_insert(
        tx,
        Application(
            position=0,
            application_id=application_id,
            step_id=step.step_id,
            attempt_id=attempt_id,
            run_id=step.run_id,
            repository_id=step.repository_id,
            mode=mode,
            branch=branch,
            digest=digest,
            before_commit=before_commit,
            after_commit=after_commit,
            state=state,
            reason=texts.text_cut(refusal or ""),
            conflicts=conflicts,
            requested_by=requested_by,
            comment=comment,
            call_id=tx.call_id,
            requested_at=tx.now,
            ended_at=None if refusal is None else tx.now,
        ),
    )
    return _tell(tx, application_id)


def application_end(
    tx: Transaction, *, application_id: str, event: ApplicationEvent, reason: str = "", conflicts: tuple[str, ...] = ()
) -> Application:
    """Say how it ended. Raises InvalidTransition where it has."""
    application = selectors.application_get(tx.connection, application_id)
    state = lifecycle.next_state(application.state, event)
    store.application_end(
        tx, application_id=application_id, state=state, reason=texts.text_cut(reason), conflicts=conflicts
    )
    return _tell(tx, application_id)


def _tell(tx: Transaction, application_id: str) -> Application:
    application = selectors.application_get(tx.connection, application_id)
    event_log.event_append(
        tx,
        repository_id=application.repository_id,
        event_type=events.EventType.APPLICATION_CHANGED,
        run_id=application.run_id,
        step_id=application.step_id,
        data={"application": selectors.application_view(application).model_dump(mode="json")},
    )
    return application

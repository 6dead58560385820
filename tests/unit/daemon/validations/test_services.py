"""Every check of an attempt has one verdict."""

import sqlite3

import pytest

from local_daemon.protocol.states import ValidationVerdict
from local_daemon.storage.transaction import Transaction
from local_daemon.validations import selectors, services
from local_daemon.validations.records import Validation
from tests.record import Record


def test_checks_are_recorded_in_order_and_each_name_once(record: Record) -> None:
    step = record.step(record.run(record.repository()))
    attempt = record.lease(step)

    def check(name: str, verdict: ValidationVerdict) -> Validation:
        def apply(tx: Transaction) -> Validation:
            return services.validation_record(
                tx,
                step_id=step.step_id,
                attempt_id=attempt.attempt_id,
                run_id=step.run_id,
                repository_id=step.repository_id,
                name=name,
                command="make",
                verdict=verdict,
                exit_code=None,
                duration_ms=7,
                stdout_artifact_id=None,
                stderr_artifact_id=None,
            )

        return record.write(apply)

    checks = (check("test", ValidationVerdict.TIMEOUT), check("lint", ValidationVerdict.PASSED))
    assert selectors.validations_page(record.connection, step.step_id, limit=9, cursor=None) == (checks, None)
    assert selectors.validations_of_attempt(record.connection, attempt.attempt_id) == checks
    with pytest.raises(sqlite3.IntegrityError):
        check("lint", ValidationVerdict.FAILED)

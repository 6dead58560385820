"""What was handed in is found for its step, or for every step of the run that came with it."""

from local_daemon.protocol import origins
from local_daemon.steps import submissions
from tests.record import Record

WORDS = origins.provenance_of("goal: g\n", source=origins.Source.TASK, form=origins.Form.YAML)
PLAN = origins.provenance_of("steps: []\n", source=origins.Source.MANIFEST, form=origins.Form.YAML)


def test_a_steps_own_comes_before_its_runs(record: Record) -> None:
    run = record.run(record.repository())
    own, others = record.step(run), record.step(run)
    for step_id, provenance in ((None, PLAN), (own.step_id, WORDS), (others.step_id, None)):
        record.write(
            lambda tx, step_id=step_id, provenance=provenance: submissions.submission_keep(
                tx, run_id=run.run_id, step_id=step_id, provenance=provenance
            )
        )
    assert submissions.submission_find(record.connection, own) == WORDS
    assert submissions.submission_find(record.connection, others) == PLAN


def test_nothing_is_told_of_what_nobody_told(record: Record) -> None:
    step = record.step(record.run(record.repository()))
    assert submissions.submission_find(record.connection, step) is None


def test_a_daemon_that_began_before_its_update_was_told_nothing(record: Record) -> None:
    step = record.step(record.run(record.repository()))
    record.write(lambda tx: tx.execute("DROP TABLE submissions"))
    record.write(lambda tx: tx.execute("DELETE FROM migrations WHERE number > 12"))
    assert submissions.submission_find(record.connection, step) is None

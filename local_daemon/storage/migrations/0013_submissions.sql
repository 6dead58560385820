-- What somebody handed in before it became a task, and what was added to it. Without a step: for the whole run.
CREATE TABLE submissions (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    step_id TEXT REFERENCES steps (step_id),
    provenance TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX submissions_by_step ON submissions (step_id) WHERE step_id IS NOT NULL;
CREATE UNIQUE INDEX submissions_by_run ON submissions (run_id) WHERE step_id IS NULL;

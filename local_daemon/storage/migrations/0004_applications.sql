-- Results brought onto a branch of the operator's. What will be done is on record before it is done.
CREATE TABLE applications (
    position INTEGER PRIMARY KEY,
    application_id TEXT NOT NULL UNIQUE,
    step_id TEXT NOT NULL REFERENCES steps (step_id),
    attempt_id TEXT NOT NULL REFERENCES attempts (attempt_id),
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    mode TEXT NOT NULL CHECK (mode IN ('merge', 'cherry_pick', 'export')),
    branch TEXT NOT NULL,
    digest TEXT NOT NULL,
    before_commit TEXT,
    after_commit TEXT,
    state TEXT NOT NULL CHECK (state IN ('planned', 'applied', 'refused')),
    reason TEXT NOT NULL,
    conflicts TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    comment TEXT NOT NULL,
    call_id TEXT,
    requested_at TEXT NOT NULL,
    ended_at TEXT,
    CHECK ((state = 'planned') = (ended_at IS NULL)),
    CHECK (state <> 'applied' OR after_commit IS NOT NULL)
) STRICT;
CREATE INDEX applications_by_step ON applications (step_id, position);
CREATE UNIQUE INDEX applications_by_call ON applications (call_id) WHERE call_id IS NOT NULL;
CREATE UNIQUE INDEX applications_planned ON applications (attempt_id, mode, branch) WHERE state = 'planned';
CREATE INDEX applications_of_attempt ON applications (attempt_id, mode, branch);

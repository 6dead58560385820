-- The record of one daemon. Instants are ISO 8601 text in UTC with microseconds, so that they sort as text.
-- `position` is the order of commits: lists and queues go by it, and cursors carry it.

CREATE TABLE daemon (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO daemon (singleton, epoch) VALUES (1, 0);

CREATE TABLE repositories (
    position INTEGER PRIMARY KEY,
    repository_id TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    toplevel TEXT NOT NULL UNIQUE,
    default_branch TEXT,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE event_logs (
    log_id TEXT NOT NULL PRIMARY KEY,
    repository_id TEXT NOT NULL UNIQUE REFERENCES repositories (repository_id),
    head_seq INTEGER NOT NULL CHECK (head_seq >= 0),
    head_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    log_id TEXT NOT NULL REFERENCES event_logs (log_id),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    type TEXT NOT NULL,
    at TEXT NOT NULL,
    run_id TEXT,
    step_id TEXT,
    call_id TEXT,
    data TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    UNIQUE (log_id, seq)
) STRICT;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only');
END;
CREATE TRIGGER events_follow_the_head BEFORE INSERT ON events
WHEN NOT EXISTS (
    SELECT 1 FROM event_logs
    WHERE log_id = NEW.log_id AND head_seq = NEW.seq - 1 AND head_hash = NEW.prev_hash
)
BEGIN
    SELECT RAISE(ABORT, 'an event must follow the head of its log');
END;
CREATE TRIGGER event_logs_never_shrink BEFORE UPDATE ON event_logs
WHEN NEW.head_seq <> OLD.head_seq + 1 OR NEW.log_id <> OLD.log_id OR NEW.repository_id <> OLD.repository_id
BEGIN
    SELECT RAISE(ABORT, 'a log grows by one event at a time');
END;
CREATE TRIGGER event_logs_are_never_deleted BEFORE DELETE ON event_logs
BEGIN
    SELECT RAISE(ABORT, 'a log is never deleted');
END;

CREATE TABLE runs (
    position INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    name TEXT,
    title TEXT,
    objective TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
    is_closed INTEGER NOT NULL CHECK (is_closed IN (0, 1)),
    failure_rule TEXT NOT NULL,
    cancel_requested_at TEXT,
    cancel_reason TEXT NOT NULL,
    told_counts TEXT NOT NULL, -- the step counts of the newest event, to tell followers only what moved
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_by_name ON runs (repository_id, name) WHERE name IS NOT NULL;
CREATE INDEX runs_by_repository ON runs (repository_id, position);
CREATE INDEX runs_by_state ON runs (repository_id, state, position);

CREATE TABLE steps (
    position INTEGER PRIMARY KEY,
    step_id TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    name TEXT,
    title TEXT NOT NULL,
    executor TEXT NOT NULL,
    task_digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN (
        'queued', 'preparing', 'running', 'collecting', 'validating', 'retry_wait', 'waiting', 'needs_attention',
        'completed', 'failed', 'cancelled'
    )),
    resume_to TEXT,
    gate_id TEXT,
    is_before_gate_passed INTEGER NOT NULL CHECK (is_before_gate_passed IN (0, 1)),
    answer TEXT,
    failure TEXT,
    warnings TEXT NOT NULL,
    summary TEXT NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    patch_sha256 TEXT,
    evidence_digest TEXT,
    retry_at TEXT,
    cancel_requested_at TEXT,
    cancel_reason TEXT NOT NULL,
    call_id TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    ended_at TEXT,
    CHECK ((state = 'waiting') = (gate_id IS NOT NULL)),
    CHECK ((state = 'waiting') = (resume_to IS NOT NULL)),
    CHECK (state <> 'failed' OR failure IS NOT NULL),
    CHECK ((state = 'retry_wait') = (retry_at IS NOT NULL)),
    CHECK ((state IN ('completed', 'failed', 'cancelled')) = (ended_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX steps_by_name ON steps (run_id, name) WHERE name IS NOT NULL;
CREATE INDEX steps_by_run ON steps (run_id, position);
CREATE INDEX steps_by_state ON steps (state, position);
CREATE INDEX steps_by_retry ON steps (retry_at) WHERE retry_at IS NOT NULL;

-- Kept by triggers, so that counting the steps of a run costs the same however many it has.
CREATE TABLE step_counts (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    state TEXT NOT NULL,
    steps INTEGER NOT NULL CHECK (steps >= 0),
    PRIMARY KEY (run_id, state)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER step_counts_follow_new_steps AFTER INSERT ON steps
BEGIN
    INSERT INTO step_counts (run_id, state, steps) VALUES (NEW.run_id, NEW.state, 1)
    ON CONFLICT DO UPDATE SET steps = steps + 1;
END;
CREATE TRIGGER step_counts_follow_moves AFTER UPDATE OF state ON steps WHEN NEW.state <> OLD.state
BEGIN
    UPDATE step_counts SET steps = steps - 1 WHERE run_id = OLD.run_id AND state = OLD.state;
    INSERT INTO step_counts (run_id, state, steps) VALUES (NEW.run_id, NEW.state, 1)
    ON CONFLICT DO UPDATE SET steps = steps + 1;
END;

-- Apart from the step's row, which is read often, because a task may hold a patch of megabytes.
CREATE TABLE tasks (
    step_id TEXT NOT NULL PRIMARY KEY REFERENCES steps (step_id),
    task TEXT NOT NULL
) STRICT;

CREATE TABLE attempts (
    position INTEGER PRIMARY KEY,
    attempt_id TEXT NOT NULL UNIQUE,
    step_id TEXT NOT NULL REFERENCES steps (step_id),
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    number INTEGER NOT NULL CHECK (number >= 1),
    state TEXT NOT NULL CHECK (state IN ('leased', 'running', 'exited', 'recorded', 'abandoned')),
    executor TEXT NOT NULL,
    executor_version TEXT,
    epoch INTEGER NOT NULL,
    pid INTEGER,
    process_start TEXT,
    boot_id TEXT,
    exit_code INTEGER,
    signal INTEGER,
    base_commit TEXT,
    head_commit TEXT,
    ref TEXT,
    patch_artifact_id TEXT,
    patch_sha256 TEXT,
    changes TEXT NOT NULL,
    changes_total INTEGER NOT NULL,
    summary TEXT NOT NULL,
    failure TEXT,
    usage TEXT NOT NULL,
    thread_id TEXT,
    warnings TEXT NOT NULL,
    question TEXT,
    leased_at TEXT NOT NULL,
    started_at TEXT,
    exited_at TEXT,
    ended_at TEXT,
    UNIQUE (step_id, number)
) STRICT;
CREATE INDEX attempts_by_state ON attempts (state, position);

CREATE TABLE gates (
    position INTEGER PRIMARY KEY,
    gate_id TEXT NOT NULL UNIQUE,
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    step_id TEXT NOT NULL REFERENCES steps (step_id),
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    attempt_id TEXT REFERENCES attempts (attempt_id),
    kind TEXT NOT NULL CHECK (kind IN ('before', 'question', 'after')),
    state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'rejected', 'answered', 'expired')),
    reason TEXT NOT NULL,
    question TEXT,
    digest TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    decided_at TEXT,
    decided_by TEXT,
    comment TEXT NOT NULL,
    answer TEXT,
    CHECK ((state = 'open') = (decided_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX gates_open_by_step ON gates (step_id) WHERE state = 'open';
CREATE INDEX gates_by_step ON gates (step_id);
CREATE INDEX gates_by_repository ON gates (repository_id, position);
CREATE INDEX gates_by_state ON gates (repository_id, state, position);
CREATE INDEX gates_by_expiry ON gates (expires_at) WHERE state = 'open';

CREATE TABLE artifacts (
    position INTEGER PRIMARY KEY,
    artifact_id TEXT NOT NULL UNIQUE,
    step_id TEXT NOT NULL REFERENCES steps (step_id),
    attempt_id TEXT NOT NULL REFERENCES attempts (attempt_id),
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
    sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX artifacts_by_step ON artifacts (step_id, position);
CREATE INDEX artifacts_by_attempt ON artifacts (attempt_id, kind);
CREATE TRIGGER artifacts_are_never_changed BEFORE UPDATE ON artifacts
BEGIN
    SELECT RAISE(ABORT, 'artifacts are immutable');
END;

CREATE TABLE validations (
    position INTEGER PRIMARY KEY,
    validation_id TEXT NOT NULL UNIQUE,
    step_id TEXT NOT NULL REFERENCES steps (step_id),
    attempt_id TEXT NOT NULL REFERENCES attempts (attempt_id),
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    name TEXT NOT NULL,
    command TEXT NOT NULL,
    verdict TEXT NOT NULL CHECK (verdict IN ('passed', 'failed', 'timeout', 'errored')),
    exit_code INTEGER,
    duration_ms INTEGER NOT NULL CHECK (duration_ms >= 0),
    stdout_artifact_id TEXT REFERENCES artifacts (artifact_id),
    stderr_artifact_id TEXT REFERENCES artifacts (artifact_id),
    created_at TEXT NOT NULL,
    UNIQUE (attempt_id, name)
) STRICT;
CREATE INDEX validations_by_step ON validations (step_id, position);

CREATE TABLE evidence (
    attempt_id TEXT NOT NULL PRIMARY KEY REFERENCES attempts (attempt_id),
    artifact_id TEXT NOT NULL REFERENCES artifacts (artifact_id),
    digest TEXT NOT NULL,
    signature TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE calls (
    call_id TEXT NOT NULL PRIMARY KEY,
    operation TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('answer', 'problem')),
    content TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX calls_by_time ON calls (at);

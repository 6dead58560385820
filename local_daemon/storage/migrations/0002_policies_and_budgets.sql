-- The policies that held when a step was submitted, beside its task: what an executor changes later has no say.
ALTER TABLE tasks ADD COLUMN policies TEXT NOT NULL DEFAULT '[]';

-- What all attempts of a run may use together.
ALTER TABLE runs ADD COLUMN budget TEXT NOT NULL DEFAULT '{}';

CREATE INDEX attempts_by_run ON attempts (run_id, step_id);
CREATE INDEX attempts_by_time ON attempts (repository_id, leased_at);

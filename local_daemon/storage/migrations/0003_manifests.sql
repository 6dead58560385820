-- Steps that need others first. How many of those are still missing is kept by triggers, so that no way of completing a
-- step can forget whom it lets go.
ALTER TABLE steps ADD COLUMN unmet INTEGER NOT NULL DEFAULT 0 CHECK (unmet >= 0);
ALTER TABLE steps ADD COLUMN base_step_id TEXT REFERENCES steps (step_id);
ALTER TABLE steps ADD COLUMN skipped_for TEXT REFERENCES steps (step_id);
CREATE INDEX steps_blocked ON steps (run_id) WHERE unmet > 0;
CREATE INDEX steps_built_on ON steps (base_step_id) WHERE base_step_id IS NOT NULL;
CREATE INDEX steps_skipped ON steps (skipped_for) WHERE skipped_for IS NOT NULL;

CREATE TABLE step_needs (
    step_id TEXT NOT NULL REFERENCES steps (step_id),
    needs_id TEXT NOT NULL REFERENCES steps (step_id),
    PRIMARY KEY (step_id, needs_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX step_needs_by_needed ON step_needs (needs_id);
CREATE TRIGGER step_needs_are_counted AFTER INSERT ON step_needs
WHEN (SELECT state FROM steps WHERE step_id = NEW.needs_id) <> 'completed'
BEGIN
    UPDATE steps SET unmet = unmet + 1 WHERE step_id = NEW.step_id;
END;
CREATE TRIGGER step_needs_are_met AFTER UPDATE OF state ON steps WHEN NEW.state = 'completed' AND OLD.state <> 'completed'
BEGIN
    UPDATE steps SET unmet = unmet - 1 WHERE step_id IN (SELECT step_id FROM step_needs WHERE needs_id = NEW.step_id);
END;

CREATE TABLE manifests (
    run_id TEXT NOT NULL PRIMARY KEY REFERENCES runs (run_id),
    digest TEXT NOT NULL,
    outline TEXT NOT NULL, -- order, rule and the names of the steps; their tasks are kept with the steps
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

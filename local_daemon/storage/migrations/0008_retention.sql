-- Evidence whose bytes went by the operator's retention: the row stays, and says so. Nothing else of it ever changes.
ALTER TABLE artifacts ADD COLUMN expired_at TEXT;
DROP TRIGGER artifacts_are_never_changed;
CREATE TRIGGER artifacts_are_never_changed BEFORE UPDATE ON artifacts
WHEN OLD.expired_at IS NOT NULL OR NEW.expired_at IS NULL OR NEW.kind = 'manifest'
    OR (OLD.position, OLD.artifact_id, OLD.step_id, OLD.attempt_id, OLD.run_id, OLD.repository_id, OLD.kind, OLD.name,
        OLD.media_type, OLD.size_bytes, OLD.sha256, OLD.created_at)
    IS NOT (NEW.position, NEW.artifact_id, NEW.step_id, NEW.attempt_id, NEW.run_id, NEW.repository_id, NEW.kind,
        NEW.name, NEW.media_type, NEW.size_bytes, NEW.sha256, NEW.created_at)
BEGIN
    SELECT RAISE(ABORT, 'artifacts are immutable');
END;
CREATE INDEX artifacts_that_may_go ON artifacts (created_at) WHERE expired_at IS NULL AND kind <> 'manifest';
CREATE INDEX artifacts_kept ON artifacts (sha256, size_bytes) WHERE expired_at IS NULL;

-- Bytes that are to go. A daemon that dies before they have goes on with them.
CREATE TABLE leaving_blobs (
    sha256 TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

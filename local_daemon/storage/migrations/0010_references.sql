-- References to results that the operator's retention let go: the attempt names none any more. They are to be taken from
-- the repository, then the objects that nothing reaches; a daemon that dies before goes on with it.
CREATE TABLE leaving_refs (
    ref TEXT NOT NULL PRIMARY KEY,
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    head_commit TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX leaving_refs_by_repository ON leaving_refs (repository_id);
CREATE INDEX attempts_with_ref ON attempts (repository_id, position) WHERE ref IS NOT NULL;

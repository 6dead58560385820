-- Where a git repository kept what its worktrees share when it was made known, as seen from its folder: an attempt may put
-- something else there. NULL: not known since before this, and bound when the daemon starts.
ALTER TABLE repositories ADD COLUMN binding TEXT;

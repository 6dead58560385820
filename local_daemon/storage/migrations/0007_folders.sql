-- Folders without git: where their own repository lies, below the daemon's home. NULL: the folder is a git repository.
ALTER TABLE repositories ADD COLUMN git_root TEXT;

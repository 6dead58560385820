-- The newest step of a repository, for whoever asks for `latest`: runs, gates and conversations have the same already.
CREATE INDEX steps_by_repository ON steps (repository_id, position);

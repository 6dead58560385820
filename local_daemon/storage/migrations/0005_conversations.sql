-- Attempts that work where an earlier one did: a CLI finds its thread again only under the same path.
CREATE TABLE attempt_places (
    position INTEGER PRIMARY KEY,
    attempt_id TEXT NOT NULL UNIQUE REFERENCES attempts (attempt_id),
    place TEXT NOT NULL REFERENCES attempts (attempt_id)
) STRICT;
CREATE INDEX attempt_places_by_place ON attempt_places (place, position);

CREATE TABLE conversations (
    position INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL UNIQUE,
    repository_id TEXT NOT NULL REFERENCES repositories (repository_id),
    run_id TEXT NOT NULL UNIQUE REFERENCES runs (run_id),
    state TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    executor TEXT NOT NULL,
    profile TEXT,
    base TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX conversations_by_repository ON conversations (repository_id, position);

CREATE TABLE turns (
    step_id TEXT NOT NULL PRIMARY KEY REFERENCES steps (step_id),
    conversation_id TEXT NOT NULL REFERENCES conversations (conversation_id),
    number INTEGER NOT NULL CHECK (number >= 1),
    is_undone INTEGER NOT NULL CHECK (is_undone IN (0, 1)),
    continues_attempt_id TEXT REFERENCES attempts (attempt_id), -- whose thread it goes on with
    fresh_because TEXT, -- why it does not, where it might have
    UNIQUE (conversation_id, number)
) STRICT, WITHOUT ROWID;

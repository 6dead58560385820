-- Which of its rule's other executors the step is with; NULL while it is with its own.
ALTER TABLE steps ADD COLUMN fallback INTEGER CHECK (fallback >= 0);

-- Who asked for what, as the door named them.
ALTER TABLE steps ADD COLUMN submitted_by TEXT;
ALTER TABLE steps ADD COLUMN cancelled_by TEXT;
ALTER TABLE steps ADD COLUMN retried_by TEXT;
ALTER TABLE steps ADD COLUMN resolved_by TEXT;

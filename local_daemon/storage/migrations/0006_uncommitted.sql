-- What the operator's checkout held that was not committed, and that the attempt never saw; NULL where nobody knows.
ALTER TABLE attempts ADD COLUMN uncommitted TEXT;

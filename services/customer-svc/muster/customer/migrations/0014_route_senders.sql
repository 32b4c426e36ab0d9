-- A route may be for some senders alone: digits or names; none for any.
ALTER TABLE route ADD COLUMN senders text[] NOT NULL DEFAULT '{}';

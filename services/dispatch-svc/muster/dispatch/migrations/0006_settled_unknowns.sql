-- A part whose unknown outcome was charged or released stays here for a while: a receipt may be about it, and while it
-- may be, it resolves no other.
ALTER TABLE unknown_part ADD COLUMN settled_at timestamptz;
-- One row for each unknown outcome of some days, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX unknown_part_settled ON unknown_part (settled_at) WHERE settled_at IS NOT NULL;

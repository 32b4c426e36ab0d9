-- By which share what a carrier takes may be wrong: nothing is promised while that is much.
ALTER TABLE pace_account ADD COLUMN doubt double precision NOT NULL DEFAULT 0;

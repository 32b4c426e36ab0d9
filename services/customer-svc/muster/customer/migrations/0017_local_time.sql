-- The time on the wall at which each recipient is texted, by the clock of their own zone, and for how many minutes after it;
-- NULL: at the same moment everywhere, and until the send's end.
-- squawk-ignore prefer-timestamp-tz
ALTER TABLE quote ADD COLUMN local_time timestamp;
ALTER TABLE quote ADD COLUMN local_within_min integer;
-- Whether the starts of a schedule come at their time on each recipient's own wall.
ALTER TABLE schedule ADD COLUMN local_time boolean NOT NULL DEFAULT false;

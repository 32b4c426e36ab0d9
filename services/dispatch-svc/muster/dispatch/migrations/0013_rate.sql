-- What a sender writes a second at most by now: less than was agreed, for a while after its carrier refused some.
ALTER TABLE carrier_standing ADD COLUMN parts_per_second integer NOT NULL DEFAULT 0;

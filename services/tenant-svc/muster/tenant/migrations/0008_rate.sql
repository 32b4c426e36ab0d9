-- How many parts a second are sent for a tenant at most, over all carriers; 0: no limit. An operator's word.
ALTER TABLE tenant ADD COLUMN parts_per_second integer NOT NULL DEFAULT 0;

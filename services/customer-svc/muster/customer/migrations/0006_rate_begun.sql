-- When the rate began: one that was set earlier for a later day follows one that was set since, with a lower version.
ALTER TABLE rate ADD COLUMN valid_from_ms bigint NOT NULL DEFAULT 0;

-- Where blanking fails, for whatever reason, the others go first, and those who failed are tried one by one.
ALTER TABLE erased_number
    ADD COLUMN failures smallint NOT NULL DEFAULT 0,
    ADD COLUMN retry_at timestamptz;

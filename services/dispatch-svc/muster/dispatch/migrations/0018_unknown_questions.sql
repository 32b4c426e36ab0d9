-- Messages that are unknown may be asked about by our reference, so often and no more. asked: how often it was; ask_at:
-- when next, some time after they were written where it is not said.
ALTER TABLE unknown_part
    ADD COLUMN asked integer NOT NULL DEFAULT 0,
    ADD COLUMN ask_at timestamptz;

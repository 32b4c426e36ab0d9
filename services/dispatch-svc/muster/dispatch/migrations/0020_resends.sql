-- Messages that may be sent again though nobody knows whether the carrier took them: of a class and a tenant that asked for
-- at least once. again: an attempt is queued or leased that writes what is unknown of the chunk once more; until that
-- ends, the chunk is not done. The attempts themselves count how often. left_out: slots that such an attempt passed over,
-- since their recipients have opted out: they are as unknown as before, and its intents are not about them.
ALTER TABLE chunk ADD COLUMN again boolean NOT NULL DEFAULT false;
ALTER TABLE attempt ADD COLUMN left_out smallint[] NOT NULL DEFAULT '{}';
-- It takes one kind more; older code knows the others alone.
-- squawk-ignore ban-drop-constraint
ALTER TABLE attempt DROP CONSTRAINT attempt_why_check;
ALTER TABLE attempt ADD CONSTRAINT attempt_why_check CHECK (why IN ('first', 'throttled', 'held', 'again')) NOT VALID;

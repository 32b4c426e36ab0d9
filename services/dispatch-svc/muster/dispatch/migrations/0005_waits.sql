-- What a send waits for and since when, so that what waits too long can be seen and resolved.
ALTER TABLE saga ADD COLUMN withdrawn boolean NOT NULL DEFAULT false;
ALTER TABLE saga ADD COLUMN given_up boolean NOT NULL DEFAULT false;
ALTER TABLE saga ADD COLUMN wait text NOT NULL DEFAULT '';
ALTER TABLE saga ADD COLUMN wait_since timestamptz;
-- Since when totals of some version have not been answered; said again, they are waited for as long as before.
ALTER TABLE saga ADD COLUMN unsettled_since timestamptz;
-- When the last part that is unknown was submitted; 0: nothing is.
ALTER TABLE saga ADD COLUMN last_submit_ms bigint NOT NULL DEFAULT 0;

UPDATE saga SET wait_since = updated_at,
    unsettled_since = CASE WHEN account_version > settled_version THEN accounted_at END,
    withdrawn = state = 'closed' AND reserved IS NULL,
    wait = CASE WHEN parked <> '' THEN 'parked'
        WHEN state IN ('closed', 'refused') THEN CASE WHEN account_version > settled_version THEN 'settlement' ELSE '' END
        WHEN state = 'paused' THEN 'paused'
        WHEN state = 'waiting' THEN CASE WHEN requested THEN 'credits' ELSE 'request' END
        WHEN NOT requested THEN 'request'
        WHEN arrived < chunks THEN 'chunks'
        WHEN held > 0 THEN 'outcomes'
        WHEN account_version > settled_version THEN 'settlement' ELSE '' END
WHERE tenant_id IS NOT NULL;

-- One row for each send, so these take a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX saga_waits ON saga (wait, wait_since) WHERE wait <> '';
-- Sends of which nobody has said until when they may be sent.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX saga_silent ON saga (created_at)
WHERE send_by IS NULL AND NOT overdue AND state NOT IN ('closed', 'refused');

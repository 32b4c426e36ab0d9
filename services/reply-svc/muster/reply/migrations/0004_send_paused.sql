-- Letters about a send that paused itself: `reason` is its id.
ALTER TABLE notice DROP CONSTRAINT notice_kind_check;
ALTER TABLE notice ADD CONSTRAINT notice_kind CHECK (kind IN ('credits_low', 'top_up_failed', 'send_paused')) NOT VALID;

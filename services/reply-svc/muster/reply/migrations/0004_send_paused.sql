-- Letters about a send that paused itself: `reason` is its id. The new rule allows all that the old one did.
-- squawk-ignore ban-drop-constraint
ALTER TABLE notice DROP CONSTRAINT notice_kind_check;
ALTER TABLE notice ADD CONSTRAINT notice_kind CHECK (kind IN ('credits_low', 'top_up_failed', 'send_paused')) NOT VALID;

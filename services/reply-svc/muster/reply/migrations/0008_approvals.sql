-- Letters that ask for an approval, and that tell what was decided: `reason` says all of it. The new rule allows all that
-- the old one did.
-- squawk-ignore ban-drop-constraint
ALTER TABLE notice DROP CONSTRAINT notice_kind;
ALTER TABLE notice ADD CONSTRAINT notice_kind CHECK (kind IN (
    'credits_low', 'top_up_failed', 'send_paused', 'schedule_start', 'approval_asked', 'approval_decided')) NOT VALID;

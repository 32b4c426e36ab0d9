-- The code of the control of the highest version, and when the last message was submitted whose outcome is unknown.
ALTER TABLE bulk ADD COLUMN control_reason text NOT NULL DEFAULT '';
ALTER TABLE bulk ADD COLUMN last_submit_ms bigint NOT NULL DEFAULT 0;

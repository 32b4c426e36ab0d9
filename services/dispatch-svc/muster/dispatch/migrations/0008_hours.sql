-- When the recipients of an attempt may be texted; NULL: at any time until send_by.
ALTER TABLE attempt ADD COLUMN allowed tstzmultirange;
-- Nothing of a send can be claimed before this moment; NULL: nobody has looked. A hint: each claim is judged by `allowed`.
ALTER TABLE saga ADD COLUMN due_at timestamptz;
-- One row for each send, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX saga_due ON saga (due_at) WHERE due_at IS NOT NULL AND state NOT IN ('closed', 'refused');

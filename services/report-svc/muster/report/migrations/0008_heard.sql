-- When a send's numbers last changed: totals may be heard of before the last messages, and a send is shown as over when
-- all its messages are counted, or nothing more has come for long.
ALTER TABLE bulk ADD COLUMN heard_at timestamptz;

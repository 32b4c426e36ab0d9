-- squawk-ignore-file require-concurrent-index-creation
-- Acts are looked for by who did them, and by what they were done to. Nothing is written to this table but by the worker,
-- which waits.
CREATE INDEX act_by_user ON act (tenant_id, user_id, at DESC, event_id DESC);
CREATE INDEX act_by_subject ON act (tenant_id, subject_id, at DESC, event_id DESC);

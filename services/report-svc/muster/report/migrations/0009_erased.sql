-- Whose words a reply holds, so that they can be found when the person is erased; NULL: not heard of since there is this.
ALTER TABLE reply ADD COLUMN number_hash bytea;
-- Replies are few beside messages; this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX reply_by_number ON reply (tenant_id, number_hash);

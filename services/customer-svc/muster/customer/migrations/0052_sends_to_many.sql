-- The sends to many, a page of which is looked at by whoever opens the console, among any number of single messages and
-- answers: one row for each send to many, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bulk_to_many ON bulk (tenant_id, bulk_id) WHERE kind = 1;

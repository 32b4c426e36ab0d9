-- The start of a schedule that became this send, by its time on the wall.
ALTER TABLE bulk ADD COLUMN schedule_id uuid;
-- What a clock on the wall shows has no offset.
-- squawk-ignore prefer-timestamp-tz
ALTER TABLE bulk ADD COLUMN schedule_wall timestamp;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bulk_schedule ON bulk (tenant_id, schedule_id, bulk_id) WHERE schedule_id IS NOT NULL;

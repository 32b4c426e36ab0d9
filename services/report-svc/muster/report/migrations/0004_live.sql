-- What the live numbers of a send show besides its messages. Each event type owns its columns.
-- BulkSmsRequested: what was asked to be reserved.
ALTER TABLE bulk ADD COLUMN asked bigint NOT NULL DEFAULT 0;
-- Of its messages, added to with the counts: parts that a carrier took, and credits that are charged.
ALTER TABLE bulk ADD COLUMN parts bigint NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN credits bigint NOT NULL DEFAULT 0;
-- BulkSmsAccounted: together with what is used, this is what was reserved.
ALTER TABLE bulk ADD COLUMN accounted_used bigint NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN released bigint NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN held bigint NOT NULL DEFAULT 0;
-- BulkSmsControlled: the control of the highest version, as the events number it.
ALTER TABLE bulk ADD COLUMN control_version integer NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN control smallint NOT NULL DEFAULT 0;
ALTER TABLE bulk ADD COLUMN control_reason text NOT NULL DEFAULT '';

UPDATE bulk b SET parts = s.parts, credits = s.credits
FROM (
    SELECT tenant_id, bulk_no, sum(credits) AS credits, coalesce(sum(parts) FILTER (WHERE accepted = 2), 0) AS parts
    FROM message GROUP BY tenant_id, bulk_no) s
WHERE b.tenant_id = s.tenant_id AND b.bulk_no = s.bulk_no;

-- Whom a send asks for, whom it excludes, and why each person is in or out.

-- How often at most a business texts a number with marketing; no row: as often as it likes.
CREATE TABLE frequency_cap (
    tenant_id uuid PRIMARY KEY,
    messages integer NOT NULL CHECK (messages BETWEEN 1 AND 1000),
    days smallint NOT NULL CHECK (days BETWEEN 1 AND 365),
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL
);
CALL kit_tenant_table('frequency_cap', worker => true, worker_privileges => 'SELECT');

-- When the membership was frozen, and the cap of the business that held then.
ALTER TABLE bulk ADD COLUMN frozen_at timestamptz, ADD COLUMN frequency_cap jsonb;
-- The sends that count as messages to a number: bulk sends, and single messages that are marketing. One row for each
-- send, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bulk_messages ON bulk (tenant_id, bulk_id) WHERE kind = 1 OR message_class = 1;

-- kind 4: nothing left, since the number was suppressed by then.
-- squawk-ignore ban-drop-constraint
ALTER TABLE not_received DROP CONSTRAINT not_received_kind_check;
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE not_received ADD CONSTRAINT not_received_kind_check CHECK (kind IN (1, 2, 3, 4));

-- facts: what the reason went by, for each of customer_ids. Of 6, the customer who was texted at the number; of 10 and
-- 11, the place of the list or tag in the rule; of 13, the day as 20260501; of 14, when the last message was submitted
-- (unix ms; 2^62: it had not left); of 15, how many messages, negative by the cap of the business.
-- A row is found by a customer through the least id and the bits of how far the ids reach: all of customer_ids are from
-- low_id to low_id + 2^reach - 1, so that a customer is looked for once for each reach, in few rows.
ALTER TABLE plan_frozen
    ADD COLUMN facts bigint[],
    ADD COLUMN low_id bigint,
    ADD COLUMN reach smallint NOT NULL DEFAULT 0;
ALTER TABLE plan_frozen ALTER COLUMN facts SET STORAGE EXTERNAL;

CREATE FUNCTION plan_frozen_reach(low bigint, high bigint) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN high = low THEN 0 ELSE floor(log(2, (high - low)::numeric))::smallint + 1 END;

CREATE FUNCTION plan_frozen_reaches() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    high bigint;
BEGIN
    SELECT min(i), max(i) INTO NEW.low_id, high FROM unnest(NEW.customer_ids) i;
    NEW.reach := plan_frozen_reach(NEW.low_id, high);
    RETURN NEW;
END
$$;
-- Whoever writes it, a row can be found. A single message says it itself, at less cost.
CREATE TRIGGER plan_frozen_reaches BEFORE INSERT ON plan_frozen
    FOR EACH ROW WHEN (NEW.low_id IS NULL) EXECUTE FUNCTION plan_frozen_reaches();

-- The owner is under row-level security too. One row for each 500 recipients: this takes a moment.
ALTER TABLE plan_frozen NO FORCE ROW LEVEL SECURITY;
UPDATE plan_frozen f SET low_id = r.low, reach = plan_frozen_reach(r.low, r.high)
FROM (SELECT p.tenant_id, p.bulk_id, p.reason, p.chunk, min(i) AS low, max(i) AS high
      FROM plan_frozen p CROSS JOIN LATERAL unnest(p.customer_ids) i GROUP BY 1, 2, 3, 4) r
WHERE (f.tenant_id, f.bulk_id, f.reason, f.chunk) = (r.tenant_id, r.bulk_id, r.reason, r.chunk);
ALTER TABLE plan_frozen FORCE ROW LEVEL SECURITY;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX plan_frozen_customer ON plan_frozen (tenant_id, reach, low_id);

-- Numbers that fail for good, again and again, are left out of audiences.

-- Of `seqs`, those of which the carrier said that they could not be delivered (not: that their time was over).
ALTER TABLE not_received ADD COLUMN undelivered bigint[] NOT NULL DEFAULT '{}';
-- Whether they were added to the failures of their numbers.
ALTER TABLE not_received ADD COLUMN counted boolean NOT NULL DEFAULT false;
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX not_received_uncounted ON not_received (heard_at) WHERE NOT counted AND undelivered <> '{}';
CALL kit_grant('not_received', 'worker', 'UPDATE');

CREATE TABLE number_failure (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    -- Sends that could not be delivered, one after the other, and the last of them.
    failures integer NOT NULL CHECK (failures > 0),
    bulk_id uuid NOT NULL,
    failed_at timestamptz NOT NULL,
    -- Since when the number is left out; NULL: it is not yet.
    undeliverable_at timestamptz,
    PRIMARY KEY (tenant_id, number_hash)
);
CREATE INDEX number_failure_undeliverable ON number_failure (tenant_id, number_hash) WHERE undeliverable_at IS NOT NULL;
CALL kit_tenant_table('number_failure', worker => true, app => 'SELECT, UPDATE, DELETE');

-- After how many failures a number is left out, where a business has said so; 0: never.
CREATE TABLE undeliverable_rule (
    tenant_id uuid PRIMARY KEY,
    failures smallint NOT NULL CHECK (failures BETWEEN 0 AND 100),
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL
);
CALL kit_tenant_table('undeliverable_rule', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

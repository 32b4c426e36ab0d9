-- Numbers of people who asked to be forgotten, by hash: what is of before that is blanked, also where it comes late.
CREATE TABLE erased_number (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    -- The owner's; the highest wins.
    version bigint NOT NULL CHECK (version > 0),
    erased_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    -- All was blanked once, and every transaction below this one may have stored more without knowing of the erasure.
    seen_xid xid8,
    -- All was blanked again when those had ended: nothing of before the erasure is here.
    forgotten_at timestamptz,
    PRIMARY KEY (tenant_id, number_hash)
);
CREATE INDEX erased_number_since ON erased_number (tenant_id, erased_at);
CREATE INDEX erased_number_open ON erased_number (tenant_id, number_hash) WHERE forgotten_at IS NULL;
CREATE INDEX erased_number_late ON erased_number (heard_at);
CALL kit_tenant_table('erased_number', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT, UPDATE');
-- What waits to be published is blanked too.
CALL kit_grant('outbox', 'worker', 'UPDATE');

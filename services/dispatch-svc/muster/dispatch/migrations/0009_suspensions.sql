-- Tenants that nothing is sent for, and the whole platform under the nil tenant. A row stays when it is lifted: its
-- version goes on. Written under the exclusive advisory lock of its tenant, which claims and intents share.
CREATE TABLE suspension (
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    suspended boolean NOT NULL,
    reason text NOT NULL,
    user_id text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id)
);
CALL kit_tenant_table('suspension', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');
-- Read by each claim and each intent; mostly empty. The table is new.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX suspension_now ON suspension (tenant_id) WHERE suspended;

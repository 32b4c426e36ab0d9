-- Letters about a tenant's credits: one for each thing that happened, by what names it.
CREATE TABLE notice (
    tenant_id uuid NOT NULL,
    notice_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('credits_low', 'top_up_failed')),
    recipient text NOT NULL,
    happened_at timestamptz NOT NULL,
    -- Credits for credits_low (the threshold and what is available), minor units of the currency for top_up_failed.
    threshold bigint NOT NULL DEFAULT 0,
    available bigint NOT NULL DEFAULT 0,
    amount bigint NOT NULL DEFAULT 0,
    currency text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sent', 'failed')),
    attempts bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT kit_now(),
    ended_at timestamptz,
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, notice_id)
);
CREATE INDEX notice_due ON notice (due_at) WHERE state = 'due';
CALL kit_tenant_table('notice', worker => true, app => '', worker_privileges => 'SELECT, INSERT, UPDATE');

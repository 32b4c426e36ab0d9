-- The tenant's rules for messages that cost credits and did not arrive, or of which nobody knows.

-- A number of FailedRule of the events.
ALTER TABLE tenant ADD COLUMN failed_rule smallint NOT NULL DEFAULT 0;

-- Credits of parts that were charged and that a receipt says have failed, given back by the tenant's rule; never falls.
ALTER TABLE chunk ADD COLUMN refunded bigint NOT NULL DEFAULT 0;
ALTER TABLE chunk ADD CONSTRAINT chunk_refunds_what_was_used CHECK (refunded BETWEEN 0 AND used) NOT VALID;

-- Chunks of which receipts of failed messages were stored that no refund was counted for yet.
CREATE TABLE refund_due (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    due_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id, chunk)
);
CALL kit_tenant_table('refund_due', worker => true, app => '');
CREATE INDEX refund_due_at ON refund_due (due_at);

-- What a person answered for a send whose outcomes are unknown, where the tenant's rule is to ask. Given once.
CREATE TABLE unknown_answer (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    answer text NOT NULL CHECK (answer IN ('charge', 'release')),
    user_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id)
);
CALL kit_tenant_table('unknown_answer', worker => true, app => 'SELECT, INSERT', worker_privileges => 'SELECT');

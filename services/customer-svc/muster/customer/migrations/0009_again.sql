-- Sending again to those who did not get it.

-- Messages that did not arrive: a row for each word on a chunk that names some. What arrived, or what nobody knows of,
-- has none, nor has what was suppressed. kind 1: certainly not sent. 2: a receipt says that it failed. 3: sent in part.
-- None of these words is ever taken back.
CREATE TABLE not_received (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk bigint NOT NULL,
    kind smallint NOT NULL CHECK (kind IN (1, 2, 3)),
    version bigint NOT NULL,
    first_seq bigint NOT NULL,
    seqs bigint[] NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id, chunk, kind, version, first_seq)
);
CALL kit_tenant_table('not_received', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT');

-- Which send this one was made of, for those who did not get that one.
ALTER TABLE bulk ADD COLUMN again_of uuid;
ALTER TABLE bulk ADD COLUMN closed_at timestamptz;
-- One row for each send, so this takes a moment.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX bulk_again ON bulk (tenant_id, again_of) WHERE again_of IS NOT NULL;

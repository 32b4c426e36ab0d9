-- The words of a business that each of its marketing messages has, where its text does not say the same.
CREATE TABLE notices (
    tenant_id uuid NOT NULL PRIMARY KEY,
    identity text NOT NULL CHECK (length(identity) <= 100),
    reply text NOT NULL CHECK (length(reply) <= 100),
    by_link text NOT NULL CHECK (length(by_link) <= 100),
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_by text NOT NULL
);
CALL kit_tenant_table('notices', worker => true, worker_privileges => 'SELECT');

-- The text of a quote in other languages, with these words.
ALTER TABLE quote ADD COLUMN others jsonb NOT NULL DEFAULT '{}';

-- Sends in whose messages each recipient has a link of their own. Who opens one is not known to be of any tenant: the
-- number in their link says which send it was.
CREATE TABLE send_link (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    link bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (tenant_id, bulk_id)
);
-- Not UNIQUE: a refusal would be of another tenant's row. Nobody but the sequence gives a number.
CREATE INDEX send_link_number ON send_link (link);
CALL kit_tenant_table('send_link', worker => true, worker_privileges => 'SELECT, INSERT');

-- Parts whose id is known and whose receipt never came: the carrier is asked how they ended, where its account says so.
-- asked: how often it was.
CREATE TABLE status_question (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    slot integer NOT NULL,
    account text NOT NULL,
    asked integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT kit_now(),
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id, chunk, slot)
);
CALL kit_tenant_table('status_question', worker => true, app => '');
CREATE INDEX status_question_due ON status_question (account, due_at);
CREATE INDEX status_question_created ON status_question (created_at);

-- Up to which chunk an account was looked through for them, in the order of submission.
CREATE TABLE status_looked (
    account text PRIMARY KEY,
    submitted_at timestamptz NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL
);
CALL kit_shared_table('status_looked');

-- What a send would cost, exactly, over the audience that `snapshot` saw, at the rates and routes of `tariff`.
CREATE TABLE quote (
    tenant_id uuid NOT NULL,
    quote_id uuid NOT NULL,
    text text NOT NULL,
    template_id uuid,
    template_version bigint,
    message_class smallint NOT NULL,
    sender text NOT NULL,
    audience jsonb NOT NULL,
    snapshot pg_snapshot NOT NULL,
    tariff jsonb NOT NULL,
    customers bigint NOT NULL,
    recipients bigint NOT NULL,
    parts bigint NOT NULL,
    credits bigint NOT NULL,
    -- What else the quote said, as it was answered.
    details jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_by uuid,
    PRIMARY KEY (tenant_id, quote_id)
);
CALL kit_tenant_table('quote', worker => true, worker_privileges => 'SELECT');

-- One send. Each group of columns has one source, so that facts may come in any order.
CREATE TABLE bulk (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    kind smallint NOT NULL,
    message_class smallint NOT NULL,
    lane smallint NOT NULL CHECK (lane IN (1, 2)),
    -- NULL for a single message or an answer.
    quote_id uuid,
    -- AnswerRequested.answer_id: the same answer is never sent twice.
    answer_id text,
    sender text NOT NULL,
    text text NOT NULL,
    partial smallint NOT NULL,
    send_by timestamptz NOT NULL,
    reference_base bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    -- The plan's: credits_confirmed is what the user agreed to.
    phase text NOT NULL CHECK (phase IN ('planning', 'needs_confirmation', 'requested', 'withdrawn', 'refused')),
    credits_confirmed bigint NOT NULL,
    customers bigint,
    recipients bigint,
    chunks bigint,
    parts bigint,
    credits bigint,
    left_out jsonb,
    problem jsonb,
    -- credit-svc's.
    credits_reserved bigint,
    credits_refused jsonb,
    -- dispatch-svc's, by control_version and account_version.
    control_version bigint NOT NULL DEFAULT 0,
    control text NOT NULL DEFAULT '',
    account_version bigint NOT NULL DEFAULT 0,
    credits_used bigint NOT NULL DEFAULT 0,
    credits_released bigint NOT NULL DEFAULT 0,
    credits_held bigint NOT NULL DEFAULT 0,
    credits_refunded bigint NOT NULL DEFAULT 0,
    accepted bigint NOT NULL DEFAULT 0,
    unknown bigint NOT NULL DEFAULT 0,
    rejected bigint NOT NULL DEFAULT 0,
    stopped bigint NOT NULL DEFAULT 0,
    suppressed bigint NOT NULL DEFAULT 0,
    stop_reason text NOT NULL DEFAULT '',
    closed boolean NOT NULL DEFAULT false,
    dispatched boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, bulk_id),
    CHECK (left_out IS NULL OR customers IS NOT NULL)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX bulk_answer ON bulk (tenant_id, answer_id) WHERE answer_id IS NOT NULL;
CALL kit_tenant_table('bulk', worker => true);

-- How far the planner is: who works on a plan holds the lock of its row, in no transaction longer than one step.
CREATE TABLE plan (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    lane smallint NOT NULL,
    step text NOT NULL CHECK (step IN ('freeze', 'add_up', 'publish', 'waiting', 'done')),
    -- The chunk that is next, and the sums of those before it.
    next_chunk bigint NOT NULL DEFAULT 1,
    recipients bigint NOT NULL DEFAULT 0,
    parts bigint NOT NULL DEFAULT 0,
    credits bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, bulk_id),
    FOREIGN KEY (tenant_id, bulk_id) REFERENCES bulk
) WITH (fillfactor = 50);
CREATE INDEX plan_to_do ON plan (lane, tenant_id) WHERE step IN ('freeze', 'add_up', 'publish');
CALL kit_tenant_table('plan', worker => true);

-- The membership of a send, frozen: rows of at most 500 of one country, in the send's order, and those left out by reason
-- (0: texted; else Reason of domain/audience.py), of whom only the ids are kept.
CREATE TABLE plan_frozen (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    reason smallint NOT NULL,
    chunk bigint NOT NULL,
    country text NOT NULL,
    customer_ids bigint[] NOT NULL,
    numbers bigint[],
    -- 17 bytes for each.
    hashes bytea,
    -- The merge values of each, joined by U+001F in the order of the text's fields; NULL where the text has none.
    joined text[],
    PRIMARY KEY (tenant_id, bulk_id, reason, chunk)
);
-- Read once or twice, soon: compressing costs more than it saves.
ALTER TABLE plan_frozen ALTER COLUMN customer_ids SET STORAGE EXTERNAL, ALTER COLUMN numbers SET STORAGE EXTERNAL,
    ALTER COLUMN hashes SET STORAGE EXTERNAL, ALTER COLUMN joined SET STORAGE EXTERNAL;
CALL kit_tenant_table('plan_frozen', worker => true);

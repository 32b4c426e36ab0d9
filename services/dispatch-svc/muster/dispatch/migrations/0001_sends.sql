-- Sends: the saga of each, its chunks with their outcomes, and the queue of attempts to send them.

-- One row for each send. What it means is in domain/saga.py; the checks hold the law reserved = used + released + held.
CREATE TABLE saga (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'paused', 'closed', 'refused')),
    control_version integer NOT NULL DEFAULT 0,
    paused boolean NOT NULL DEFAULT false,
    ending text NOT NULL DEFAULT '' CHECK (ending IN ('', 'stopped', 'send_by', 'credits')),
    overdue boolean NOT NULL DEFAULT false,
    requested boolean NOT NULL DEFAULT false,
    recipients integer NOT NULL DEFAULT 0 CHECK (recipients >= 0),
    chunks integer NOT NULL DEFAULT 0 CHECK (chunks >= 0),
    asked bigint NOT NULL DEFAULT 0,
    send_by timestamptz,
    reserved bigint CHECK (reserved >= 0),
    arrived integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0 CHECK (done <= arrived),
    used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    released bigint NOT NULL DEFAULT 0 CHECK (released >= 0),
    held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    accepted integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    stopped integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    account_version integer NOT NULL DEFAULT 0,
    settled_version integer NOT NULL DEFAULT 0,
    accounted_at timestamptz,
    sweep boolean NOT NULL DEFAULT false,
    parked text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    updated_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id),
    CONSTRAINT saga_balances CHECK (account_version = 0 OR reserved = used + released + held)
) WITH (fillfactor = 70);
CALL kit_tenant_table('saga', worker => true);

CREATE INDEX saga_claimable ON saga (tenant_id, bulk_id) WHERE state = 'sending' AND ending = '' AND parked = '';
CREATE INDEX saga_sweep ON saga (tenant_id, bulk_id) WHERE sweep;
CREATE INDEX saga_send_by ON saga (send_by) WHERE NOT overdue AND state NOT IN ('closed', 'refused');
CREATE INDEX saga_unsettled ON saga (accounted_at) WHERE account_version > settled_version;

-- The home of at most 500 recipients. parts: an octet for each message; slots, receipts: an octet for each part
-- (domain/slots.py, domain/receipts.py). carrier_ids: the carrier's id of each part, joined by line feeds.
-- The sums are those of domain/slots.py over the slots.
CREATE TABLE chunk (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    lane smallint NOT NULL,
    message_class smallint NOT NULL,
    kind smallint NOT NULL,
    route text NOT NULL,
    account text NOT NULL,
    country text NOT NULL,
    sender text NOT NULL,
    send_by timestamptz NOT NULL,
    reference_base integer NOT NULL,
    reference_bits smallint NOT NULL CHECK (reference_bits IN (8, 16)),
    recipients integer NOT NULL,
    upto bigint NOT NULL,
    parts bytea NOT NULL,
    slots bytea NOT NULL,
    carrier_ids text,
    receipts bytea,
    used bigint NOT NULL DEFAULT 0,
    unknown_credits bigint NOT NULL DEFAULT 0,
    open_credits bigint NOT NULL,
    accepted integer NOT NULL DEFAULT 0,
    unknown integer NOT NULL DEFAULT 0,
    rejected integer NOT NULL DEFAULT 0,
    stopped integer NOT NULL DEFAULT 0,
    suppressed integer NOT NULL DEFAULT 0,
    short integer NOT NULL DEFAULT 0,
    open integer NOT NULL,
    said integer NOT NULL DEFAULT 0,
    receipts_said integer NOT NULL DEFAULT 0,
    submitted_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    done_at timestamptz,
    PRIMARY KEY (tenant_id, bulk_id, chunk),
    CHECK (octet_length(parts) = recipients),
    CHECK (accepted + unknown + rejected + stopped + suppressed + open = recipients)
) WITH (fillfactor = 50);
CALL kit_tenant_table('chunk', worker => true);
-- Rewritten a few times within a second: neither compressed nor, mostly, out of line.
ALTER TABLE chunk ALTER COLUMN slots SET STORAGE EXTERNAL, ALTER COLUMN receipts SET STORAGE EXTERNAL,
    ALTER COLUMN carrier_ids SET STORAGE EXTERNAL, ALTER COLUMN parts SET STORAGE EXTERNAL;
-- The map of carrier ids is rebuilt from here, and unknowns come of age here.
CREATE INDEX chunk_submitted ON chunk (account, submitted_at) WHERE submitted_at IS NOT NULL;
CREATE INDEX chunk_unknown ON chunk (submitted_at) WHERE unknown_credits > 0;

-- Who gets what, as it came, in two halves that are one message when joined: `personal` (numbers and texts) is blanked
-- when the chunk is done, `plain` stays for what is said later.
CREATE TABLE chunk_body (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    plain bytea NOT NULL,
    personal bytea,
    PRIMARY KEY (tenant_id, bulk_id, chunk)
);
CALL kit_tenant_table('chunk_body', worker => true);
ALTER TABLE chunk_body ALTER COLUMN plain SET STORAGE EXTERNAL, ALTER COLUMN personal SET STORAGE EXTERNAL;

-- The queue: attempt 0 is the whole chunk, later ones are retries of single slots (throttled, held).
-- At most one attempt of a chunk is not done. state: 0 queued, 1 leased, 2 done. order: the slots it sends, in order
-- (NULL: all); intent_upto counts them: what is below it may have been written. intents: how far and when, for the laws.
CREATE TABLE attempt (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    attempt integer NOT NULL,
    state smallint NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)),
    account text NOT NULL,
    lane smallint NOT NULL,
    kind smallint NOT NULL,
    why text NOT NULL DEFAULT 'first' CHECK (why IN ('first', 'throttled', 'held')),
    parts integer NOT NULL CHECK (parts > 0),
    slot_order smallint[],
    due_at timestamptz NOT NULL,
    send_by timestamptz NOT NULL,
    lease_owner uuid,
    lease_epoch integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    intent_upto integer NOT NULL DEFAULT 0,
    intents jsonb NOT NULL DEFAULT '[]',
    suppression_counter bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, bulk_id, chunk, attempt),
    CHECK ((state = 1) = (lease_owner IS NOT NULL))
) WITH (fillfactor = 50);
CALL kit_tenant_table('attempt', worker => true);
CREATE UNIQUE INDEX attempt_live ON attempt (tenant_id, bulk_id, chunk) WHERE state <> 2;
CREATE INDEX attempt_queued ON attempt (tenant_id, bulk_id, chunk, attempt) WHERE state = 0;
CREATE INDEX attempt_leased ON attempt (account, lease_until) WHERE state = 1;
CREATE INDEX attempt_send_by ON attempt (send_by) WHERE state = 0;

-- Parts whose outcome is unknown: a receipt without a known id resolves one if exactly one fits.
CREATE TABLE unknown_part (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    slot integer NOT NULL,
    account text NOT NULL,
    sender text NOT NULL,
    number_hash bytea NOT NULL,
    submitted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, bulk_id, chunk, slot)
);
CALL kit_tenant_table('unknown_part', worker => true, app => '');
CREATE INDEX unknown_part_match ON unknown_part (account, number_hash);

-- What dispatch-svc hears of tenants.
CREATE TABLE tenant (
    tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    sender text NOT NULL,
    unknown_rule smallint NOT NULL DEFAULT 0,
    at_least_once boolean NOT NULL DEFAULT false,
    closed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id)
);
CALL kit_tenant_table('tenant', worker => true, app => 'SELECT');

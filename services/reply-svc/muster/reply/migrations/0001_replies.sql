-- What was sent, so that a reply finds its message; the inbox; and what goes to receptions by e-mail.

CREATE TABLE tenant (
    tenant_id uuid NOT NULL PRIMARY KEY,
    version bigint NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    time_zone text NOT NULL,
    allow_sms_replies boolean NOT NULL,
    reception_email text NOT NULL,
    closed boolean NOT NULL
);
CALL kit_tenant_table('tenant', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT, UPDATE');

-- A chunk of a send as it came, without numbers: a send costs one row for each chunk, the rare reply pays for the
-- search. A key is the first eight bytes of a number's hash (its generation and 56 bits), in the order of recipients.
CREATE TABLE sent_chunk (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk bigint NOT NULL,
    due_at timestamptz NOT NULL,
    keys bigint[] NOT NULL,
    payload bytea NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id, chunk)
);
-- Random bits and bytes that are compressed already: neither gets smaller.
ALTER TABLE sent_chunk ALTER COLUMN keys SET STORAGE EXTERNAL;
ALTER TABLE sent_chunk ALTER COLUMN payload SET STORAGE EXTERNAL;
-- Eight-byte keys cost half of what the whole hashes would (1.0 against 2.1 microseconds of CPU a message).
CREATE INDEX sent_chunk_keys ON sent_chunk USING gin (keys);
CREATE INDEX sent_chunk_heard_at ON sent_chunk USING brin (heard_at);
CALL kit_tenant_table('sent_chunk', worker => true, app => '');

-- When a chunk left and which of its messages did not; may be heard before the chunk itself.
CREATE TABLE dispatched (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk bigint NOT NULL,
    first_at timestamptz,
    last_at timestamptz,
    unsent bigint[] NOT NULL DEFAULT '{}',
    heard_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id, chunk)
) WITH (fillfactor = 70);
CREATE INDEX dispatched_heard_at ON dispatched USING brin (heard_at);
CALL kit_tenant_table('dispatched', worker => true, app => '');

CREATE TABLE inbound_message (
    tenant_id uuid NOT NULL,
    inbound_id uuid NOT NULL,
    number text NOT NULL,
    number_hash bytea NOT NULL,
    text text NOT NULL,
    received_at timestamptz NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('ordinary', 'opt_out', 'opt_in', 'help', 'unclear')),
    scope text NOT NULL CHECK (scope IN ('marketing', 'all')),
    rule text NOT NULL,
    bulk_id uuid,
    seq bigint,
    doubtful boolean NOT NULL,
    erased boolean NOT NULL DEFAULT false,
    stored_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, inbound_id),
    CONSTRAINT inbound_message_attributed CHECK ((bulk_id IS NULL) = (seq IS NULL))
);
CREATE INDEX inbound_message_newest ON inbound_message (tenant_id, received_at, inbound_id);
CREATE INDEX inbound_message_of_number ON inbound_message (tenant_id, number_hash, received_at);
CREATE INDEX inbound_message_of_bulk ON inbound_message (tenant_id, bulk_id, received_at) WHERE bulk_id IS NOT NULL;
CALL kit_tenant_table('inbound_message', worker => true, app => 'SELECT',
    worker_privileges => 'SELECT, INSERT, UPDATE');

-- When a number last got an automatic answer of a kind.
CREATE TABLE answered (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    reason text NOT NULL CHECK (reason IN ('confirmation', 'help')),
    answered_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number_hash, reason)
);
CALL kit_tenant_table('answered', worker => true, app => '');

-- E-mails to receptions: one for each reply.
CREATE TABLE email (
    tenant_id uuid NOT NULL,
    inbound_id uuid NOT NULL,
    recipient text NOT NULL,
    state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'sent', 'failed')),
    attempts bigint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT kit_now(),
    ended_at timestamptz,
    error text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, inbound_id),
    CONSTRAINT email_of_a_reply FOREIGN KEY (tenant_id, inbound_id) REFERENCES inbound_message
);
CREATE INDEX email_due ON email (due_at) WHERE state = 'due';
CALL kit_tenant_table('email', worker => true, app => '');

-- People who asked to be forgotten: what comes late about them is blanked on arrival.
CREATE TABLE erased (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    erased_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number_hash)
);
CALL kit_tenant_table('erased', worker => true, app => '', worker_privileges => 'SELECT, INSERT, UPDATE');

-- Numbers: who may not be texted, who wrote, what carriers reported.

-- Whether a number may be texted: the highest version wins. A person who was erased gets nothing that was queued before.
CREATE TABLE suppression (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    version bigint NOT NULL,
    suppressed boolean NOT NULL,
    scope smallint NOT NULL,
    erased_version bigint NOT NULL DEFAULT 0,
    erased_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, number_hash)
);
CALL kit_tenant_table('suppression', worker => true, app => '');

-- A number that just wrote something like STOP is not texted until a person or a rule has decided.
CREATE TABLE hold (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    inbound_id uuid NOT NULL,
    scope smallint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    released_at timestamptz,
    PRIMARY KEY (tenant_id, number_hash, inbound_id)
);
CALL kit_tenant_table('hold', worker => true, app => '');

-- Raised by each change of suppressions or holds, under the tenant's exclusive advisory lock.
CREATE TABLE tenant_counter (
    tenant_id uuid NOT NULL,
    counter bigint NOT NULL,
    PRIMARY KEY (tenant_id)
);
CALL kit_tenant_table('tenant_counter', worker => true, app => '');

-- The key of the advisory lock of a tenant: claims and intents share it, who changes what may be texted has it alone.
CREATE FUNCTION tenant_lock_key(tenant uuid) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT hashtextextended('dispatch.tenant.' || tenant::text, 0) $$;

-- To whom a reply number belongs. A number has one owner: who had it first.
CREATE TABLE sender_number (
    sender text PRIMARY KEY,
    owner_tenant_id uuid NOT NULL,
    version bigint NOT NULL,
    receives_replies boolean NOT NULL,
    active boolean NOT NULL DEFAULT true
);
CALL kit_shared_table('sender_number');

-- Which carrier account takes a country.
CREATE TABLE route (
    route text PRIMARY KEY,
    version bigint NOT NULL,
    countries text[] NOT NULL DEFAULT '{}',
    account text NOT NULL,
    reference_bits smallint NOT NULL CHECK (reference_bits IN (8, 16)),
    parts_per_second integer NOT NULL DEFAULT 0,
    open boolean NOT NULL DEFAULT true
);
CALL kit_shared_table('route');

-- Parts of inbound messages until all are there, and what came whole. A carrier that got no answer sends again:
-- the digest of what was written, by carrier session, tells that from a person who writes the same twice.
CREATE TABLE inbound_part (
    account text NOT NULL,
    source text NOT NULL,
    destination text NOT NULL,
    reference integer NOT NULL,
    total smallint NOT NULL,
    number smallint NOT NULL,
    body text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (account, source, destination, reference, total, number)
);
CALL kit_worker_table('inbound_part');
CREATE INDEX inbound_part_received ON inbound_part USING brin (received_at);

-- Number and text are kept only where the number it was written to belongs to nobody (the nil tenant).
CREATE TABLE inbound_message (
    tenant_id uuid NOT NULL,
    inbound_id uuid NOT NULL,
    account text NOT NULL,
    digest bytea NOT NULL,
    session bigint NOT NULL,
    number_hash bytea NOT NULL,
    verdict text NOT NULL,
    rule text NOT NULL,
    number text,
    body text,
    received_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, inbound_id)
);
CALL kit_tenant_table('inbound_message', worker => true, app => 'SELECT');
CREATE INDEX inbound_message_digest ON inbound_message (account, digest, received_at);

-- Receipts that fit nothing yet: early ones, and those for unknown outcomes.
CREATE TABLE receipt_waiting (
    account text NOT NULL,
    carrier_id text NOT NULL,
    state smallint NOT NULL,
    error text NOT NULL,
    done_at timestamptz NOT NULL,
    submitted_at timestamptz,
    number text NOT NULL,
    sender text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (account, carrier_id)
);
CALL kit_worker_table('receipt_waiting');
CREATE INDEX receipt_waiting_received ON receipt_waiting (received_at);

-- Carrier ids that left the memory of the last hour without a final receipt.
CREATE TABLE carrier_id (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    chunk integer NOT NULL,
    slot integer NOT NULL,
    account text NOT NULL,
    carrier_id text NOT NULL,
    kept_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, bulk_id, chunk, slot)
);
CALL kit_tenant_table('carrier_id', worker => true, app => '');
CREATE INDEX carrier_id_of ON carrier_id (account, carrier_id);

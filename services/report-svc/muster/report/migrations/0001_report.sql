-- The report: one row for each SMS, told apart by the number of its send, which is shorter than its id.
CREATE TABLE bulk (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    bulk_no bigint GENERATED ALWAYS AS IDENTITY,
    kind smallint NOT NULL DEFAULT 0,
    message_class smallint NOT NULL DEFAULT 0,
    sender text NOT NULL DEFAULT '',
    recipients integer NOT NULL DEFAULT 0,
    requested_at timestamptz,
    -- Messages by the code of their end, from code 0; added to in the transaction that changes the messages.
    counts integer[] NOT NULL DEFAULT array_fill(0, ARRAY[16]),
    first_at timestamptz,
    last_at timestamptz,
    accounted_version integer NOT NULL DEFAULT 0,
    closed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, bulk_id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX bulk_by_number ON bulk (tenant_id, bulk_no);
CALL kit_tenant_table('bulk', worker => true);

-- Each event type owns its columns and its version; a lower version changes nothing. Codes are those of the schemas.
CREATE TABLE message (
    tenant_id uuid NOT NULL,
    bulk_no bigint NOT NULL,
    seq integer NOT NULL,
    chunk integer NOT NULL,
    dispatched_version integer NOT NULL DEFAULT 0,
    receipt_version integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    receipt_at timestamptz,
    credits integer NOT NULL DEFAULT 0,
    error integer NOT NULL DEFAULT 0,
    left_state smallint NOT NULL DEFAULT 0,
    accepted smallint NOT NULL DEFAULT 0,
    parts smallint NOT NULL DEFAULT 0,
    receipt smallint NOT NULL DEFAULT 0,
    -- The receipt, else how it was left: 11 delivered, 12 undelivered, 13 expired; rejected is one, whoever rejected.
    ended smallint GENERATED ALWAYS AS
        (CASE receipt WHEN 0 THEN left_state WHEN 4 THEN 4 ELSE receipt + 10 END) STORED,
    country text NOT NULL DEFAULT '',
    receipt_error text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, bulk_no, seq)
) WITH (fillfactor = 55);
CALL kit_tenant_table('message', worker => true);

-- Who got what: personal data, a row for each chunk, filled from the internal topics.
CREATE TABLE recipients (
    tenant_id uuid NOT NULL,
    bulk_no bigint NOT NULL,
    chunk integer NOT NULL,
    seqs integer[] NOT NULL,
    numbers bigint[] NOT NULL,
    customers bigint[] NOT NULL,
    texts text[] NOT NULL,
    text_index smallint[] NOT NULL,
    PRIMARY KEY (tenant_id, bulk_no, chunk)
);
CALL kit_tenant_table('recipients', worker => true);

CREATE TABLE reply (
    tenant_id uuid NOT NULL,
    inbound_id uuid NOT NULL,
    bulk_id uuid,
    seq integer NOT NULL DEFAULT 0,
    verdict smallint NOT NULL DEFAULT 0,
    rule text NOT NULL DEFAULT '',
    opted_out boolean NOT NULL DEFAULT false,
    received_at timestamptz,
    text text,
    PRIMARY KEY (tenant_id, inbound_id)
);
CREATE INDEX reply_by_bulk ON reply (tenant_id, bulk_id, seq);
CALL kit_tenant_table('reply', worker => true);

-- Offsets that were applied, first to last; the auditor applies what no row covers.
CREATE TABLE applied_range (
    topic text NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL CHECK (last_offset >= first_offset),
    PRIMARY KEY (topic, partition, first_offset)
) WITH (fillfactor = 70);
CALL kit_worker_table('applied_range');

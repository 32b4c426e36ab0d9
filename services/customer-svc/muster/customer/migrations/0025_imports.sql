-- An import is uploaded, read whole into blocks, looked at if somebody wants to, then applied block by block.
ALTER TABLE customer_import
    ADD COLUMN state text NOT NULL DEFAULT 'done',
    ADD COLUMN file_name text NOT NULL DEFAULT '',
    ADD COLUMN options jsonb NOT NULL DEFAULT '{}',
    -- Somebody looks at it first, and starts it.
    ADD COLUMN preview boolean NOT NULL DEFAULT false,
    -- Kind, encoding, separator, sheet and header, once it has been read.
    ADD COLUMN file jsonb,
    ADD COLUMN problem jsonb,
    -- What was undone in the cells of each column.
    ADD COLUMN repairs jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN bytes bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes_read bigint NOT NULL DEFAULT 0,
    ADD COLUMN rows_total bigint,
    ADD COLUMN errors bigint NOT NULL DEFAULT 0,
    -- Customers who were taken from the list that the file replaces.
    ADD COLUMN removed bigint NOT NULL DEFAULT 0,
    -- The block that is applied next; 0: what it is looked up in is still to be made.
    ADD COLUMN next_block integer NOT NULL DEFAULT 0,
    -- Who reads it holds it until then; each that takes it over counts on.
    ADD COLUMN epoch integer NOT NULL DEFAULT 0,
    ADD COLUMN lease_until timestamptz,
    -- Imports are few; this takes a moment.
    -- squawk-ignore adding-field-with-default
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT kit_now(),
    -- The rows that were left out are kept no longer.
    ADD COLUMN swept boolean NOT NULL DEFAULT false,
    ADD COLUMN finished_at timestamptz,
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT customer_import_state CHECK (state IN ('uploading', 'waiting', 'reading', 'preview', 'applying',
                                                          'done', 'refused', 'cancelled'));
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_import_open ON customer_import (state, tenant_id, import_id)
    WHERE state NOT IN ('done', 'refused', 'cancelled');
CALL kit_grant('customer_import', 'worker', 'SELECT');
DO $$ BEGIN
    EXECUTE format('CREATE POLICY kit_worker ON customer_import TO %I USING (true) WITH CHECK (true)', kit_role('worker'));
END $$;

-- The file as it came, until it has been read.
CREATE TABLE customer_import_part (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    part integer NOT NULL CHECK (part > 0),
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, import_id, part)
);
ALTER TABLE customer_import_part ALTER COLUMN content SET STORAGE EXTERNAL;
CALL kit_tenant_table('customer_import_part');

-- Its rows as CSV in UTF-8, until they have been applied.
CREATE TABLE customer_import_block (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    block integer NOT NULL CHECK (block > 0),
    -- From 1, the first after the header; empty rows count here, and not in `rows`.
    first_row bigint NOT NULL,
    rows integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (tenant_id, import_id, block)
);
ALTER TABLE customer_import_block ALTER COLUMN content SET STORAGE EXTERNAL;
CALL kit_tenant_table('customer_import_block');

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX customer_import_error_row ON customer_import_error (tenant_id, import_id, row);

-- Rows that were left out, as the file has them, to be corrected and imported again.
CREATE TABLE customer_import_rejected (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    row bigint NOT NULL,
    cells text[] NOT NULL,
    PRIMARY KEY (tenant_id, import_id, row)
);
CALL kit_tenant_table('customer_import_rejected');

-- Customers of before whom a row of a running import has met and not changed: a second row of them is told.
CREATE TABLE customer_import_seen (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    PRIMARY KEY (tenant_id, import_id, customer_id)
);
CALL kit_tenant_table('customer_import_seen');

-- Who has which value of the own field that a running import goes by.
CREATE TABLE customer_import_key (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    key bytea NOT NULL,
    customer_id bigint NOT NULL,
    PRIMARY KEY (tenant_id, import_id, key, customer_id)
);
CALL kit_tenant_table('customer_import_key');

-- What the columns of a header were said to be, the last time that a file with it was started.
CREATE TABLE customer_import_mapping (
    tenant_id uuid NOT NULL,
    header_hash bytea NOT NULL,
    mapping jsonb NOT NULL,
    used_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, header_hash)
);
CALL kit_tenant_table('customer_import_mapping', app => 'SELECT, INSERT, UPDATE');

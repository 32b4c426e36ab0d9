CREATE TABLE customer (
    tenant_id uuid NOT NULL,
    customer_id bigint GENERATED ALWAYS AS IDENTITY,
    first_name text NOT NULL,
    last_name text NOT NULL,
    own_fields jsonb NOT NULL DEFAULT '{}',
    language text NOT NULL DEFAULT '',
    -- NULL: nobody said so. It means no SMS.
    allow_bulk_sms boolean,
    consent text NOT NULL CHECK (consent IN ('express', 'inferred', 'none', 'withdrawn')),
    consent_at timestamptz,
    consent_how text NOT NULL DEFAULT '',
    consent_wording text NOT NULL DEFAULT '',
    consent_by text NOT NULL DEFAULT '',
    tags text[] NOT NULL DEFAULT '{}',
    -- Equal for the same person imported twice.
    match_key bytea NOT NULL,
    import_id uuid,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    -- When the customer last came to be somebody who may be texted. The transaction says exactly whether a quote saw it;
    -- the time keeps old rows in where transaction ids started anew, as after a logical restore.
    joined_at timestamptz NOT NULL DEFAULT kit_now(),
    joined_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant_id, customer_id),
    CHECK (consent <> 'withdrawn' OR allow_bulk_sms IS NOT TRUE)
);
CREATE INDEX customer_match_key ON customer (tenant_id, match_key);
CALL kit_tenant_table('customer', worker => true);

CREATE TABLE customer_number (
    tenant_id uuid NOT NULL,
    customer_id bigint NOT NULL,
    position smallint NOT NULL CHECK (position > 0),
    -- Digits of the E.164 form.
    number bigint NOT NULL,
    country text NOT NULL,
    number_hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, customer_id, position),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customer ON DELETE CASCADE
);
CREATE INDEX customer_number_hash ON customer_number (tenant_id, number_hash);
CALL kit_tenant_table('customer_number', worker => true);

CREATE TABLE customer_import (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    rows bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    rejected bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, import_id),
    CHECK (rows = created + updated + rejected)
);
CALL kit_tenant_table('customer_import');

CREATE TABLE customer_import_error (
    tenant_id uuid NOT NULL,
    import_id uuid NOT NULL,
    ordinal bigint NOT NULL,
    -- From 1, the first after the header.
    row bigint NOT NULL,
    field text NOT NULL,
    "column" text NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (tenant_id, import_id, ordinal),
    -- Errors are stored as the file is read, the figures at its end.
    FOREIGN KEY (tenant_id, import_id) REFERENCES customer_import ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
);
CALL kit_tenant_table('customer_import_error');

-- The state of each number that anything was ever said of, and every version of it.
CREATE TABLE suppression (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    suppressed boolean NOT NULL,
    scope smallint NOT NULL CHECK (scope IN (1, 2)),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number_hash)
);
CALL kit_tenant_table('suppression', worker => true);

CREATE TABLE suppression_version (
    tenant_id uuid NOT NULL,
    number_hash bytea NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    suppressed boolean NOT NULL,
    scope smallint NOT NULL CHECK (scope IN (1, 2)),
    source text NOT NULL CHECK (source IN ('reply', 'person', 'link', 'complaint')),
    -- The message that asked for it: the same one never makes a second version.
    inbound_id text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    changed_by text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number_hash, version)
);
CREATE UNIQUE INDEX suppression_version_inbound ON suppression_version (tenant_id, inbound_id) WHERE inbound_id <> '';
CREATE INDEX suppression_version_changed_at ON suppression_version USING brin (changed_at);
CALL kit_tenant_table('suppression_version', worker => true, app => 'SELECT, INSERT', worker_privileges => 'SELECT, INSERT');

CREATE TABLE template (
    tenant_id uuid NOT NULL,
    template_id uuid NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    name text NOT NULL,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    PRIMARY KEY (tenant_id, template_id, version)
);
CALL kit_tenant_table('template', app => 'SELECT, INSERT');

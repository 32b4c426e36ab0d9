-- Tenants and their settings, users, API keys; the audit log; the keys that sign tokens.

CREATE TABLE tenant (
    tenant_id uuid NOT NULL,
    -- Counts the changes; it is the version of TenantChanged.
    version bigint NOT NULL DEFAULT 1 CHECK (version > 0),
    name text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    time_zone text NOT NULL,
    sender text NOT NULL,
    allow_sms_replies boolean NOT NULL,
    reception_email text NOT NULL,
    -- Minutes after midnight; equal values: no quiet hours.
    quiet_from_minute smallint NOT NULL DEFAULT 0 CHECK (quiet_from_minute BETWEEN 0 AND 1439),
    quiet_to_minute smallint NOT NULL DEFAULT 0 CHECK (quiet_to_minute BETWEEN 0 AND 1439),
    unknown_rule text NOT NULL DEFAULT 'release' CHECK (unknown_rule IN ('charge', 'release', 'ask')),
    at_least_once boolean NOT NULL DEFAULT false,
    closed boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    updated_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id)
);
CALL kit_tenant_table('tenant', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

-- People and machines. The operator is a user of the nil tenant, which has no settings.
CREATE TABLE member (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- NULL for a machine.
    email text CHECK (email = lower(email)),
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('operator', 'admin', 'manager', 'staff')),
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, user_id),
    CONSTRAINT member_email_taken UNIQUE (tenant_id, email),
    CONSTRAINT member_operator_is_of_the_platform
        CHECK ((role = 'operator') = (tenant_id = '00000000-0000-0000-0000-000000000000'))
);
CALL kit_tenant_table('member', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

-- An API key is a user's and carries that user's role. Of its secret only the SHA-256 is here: 256 random bits need no
-- slow hash.
CREATE TABLE api_key (
    tenant_id uuid NOT NULL,
    key_id uuid NOT NULL,
    user_id uuid NOT NULL,
    client_id text NOT NULL,
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, key_id),
    -- Over tenants: a client id is looked up before its tenant is known. It is random, so nothing is learnt from it.
    CONSTRAINT api_key_client_id UNIQUE (client_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES member (tenant_id, user_id)
);
CREATE INDEX api_key_of_user ON api_key (tenant_id, user_id);
CALL kit_tenant_table('api_key', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT, UPDATE');

-- Append-only: nobody may change or delete an act.
CREATE TABLE act (
    tenant_id uuid NOT NULL,
    event_id uuid NOT NULL,
    at timestamptz NOT NULL,
    act text NOT NULL,
    user_id text NOT NULL,
    role text NOT NULL,
    subject_kind text NOT NULL,
    subject_id text NOT NULL,
    service text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
CREATE INDEX act_by_time ON act (tenant_id, at DESC, event_id DESC);
CALL kit_tenant_table('act', worker => true, app => 'SELECT', worker_privileges => 'SELECT, INSERT');

-- The keys that sign tokens. The private half is sealed by a key that is not in this database.
CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT kit_now()
);
CALL kit_worker_table('signing_key', 'SELECT, INSERT, DELETE');

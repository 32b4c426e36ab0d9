-- How people sign in: passwords, sessions, single-use links, and how often somebody has guessed.

-- In a table of its own, so that nobody reads a hash who asks for users. Argon2id, with its parameters in the text.
CREATE TABLE password (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    hash text NOT NULL CHECK (hash LIKE '$argon2id$%'),
    changed_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (tenant_id, user_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES member (tenant_id, user_id)
);
CALL kit_tenant_table('password', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

-- Of tokens of sessions and links only the SHA-256 is here: 256 random bits need no slow hash.
CREATE TABLE session (
    tenant_id uuid NOT NULL,
    session_id uuid NOT NULL,
    user_id uuid NOT NULL,
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    seen_at timestamptz NOT NULL DEFAULT kit_now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    -- What the person may know it by.
    address text NOT NULL CHECK (length(address) <= 45),
    user_agent text NOT NULL CHECK (length(user_agent) <= 300),
    PRIMARY KEY (tenant_id, session_id),
    -- Over tenants: a token is looked up before its tenant is known. It is random, so nothing is learnt from it.
    CONSTRAINT session_token UNIQUE (token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES member (tenant_id, user_id)
);
CREATE INDEX session_of_user ON session (tenant_id, user_id, created_at DESC);
CALL kit_tenant_table('session', worker => true, app => 'SELECT, INSERT, UPDATE',
    worker_privileges => 'SELECT, UPDATE, DELETE');

CREATE TABLE link (
    tenant_id uuid NOT NULL,
    link_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('invitation', 'reset', 'first_admin')),
    -- NULL where who takes it becomes a new user.
    user_id uuid CHECK ((user_id IS NULL) = (kind = 'first_admin')),
    token_hash bytea NOT NULL CHECK (octet_length(token_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (tenant_id, link_id),
    CONSTRAINT link_token UNIQUE (token_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES member (tenant_id, user_id)
);
-- A newer link takes the place of an older one that nobody used.
CREATE UNIQUE INDEX link_that_holds ON link (tenant_id, kind, user_id) NULLS NOT DISTINCT WHERE used_at IS NULL;
CALL kit_tenant_table('link', worker => true, app => 'SELECT, INSERT, UPDATE, DELETE',
    worker_privileges => 'SELECT, DELETE');

-- Guesses at the passwords of an address, or from an address of the network; its name is a keyed hash.
CREATE TABLE guesses (
    subject bytea PRIMARY KEY CHECK (octet_length(subject) = 32),
    failures integer NOT NULL CHECK (failures >= 0),
    last_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX guesses_by_time ON guesses (last_at);
CALL kit_worker_table('guesses');

-- Who signs in names no tenant. A platform has few users: nobody waits for it.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX member_by_email ON member (email) WHERE email IS NOT NULL;

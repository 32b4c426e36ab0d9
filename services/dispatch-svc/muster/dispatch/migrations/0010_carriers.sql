-- Carrier accounts as data, how each stands, and the messages by which operators try them.

-- options: what its kind is described by, as JSON; secret: sealed with a key that the database does not hold, for this
-- account alone. seeded: what the environment said of it when it said so last, under the same key.
CREATE TABLE carrier (
    account text PRIMARY KEY CHECK (account ~ '^[a-z0-9][a-z0-9-]{0,29}$'),
    kind text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'draining', 'closed')),
    version integer NOT NULL DEFAULT 1,
    parts_window integer NOT NULL CHECK (parts_window > 0),
    parts_per_second integer NOT NULL CHECK (parts_per_second >= 0),
    reference_bits smallint NOT NULL CHECK (reference_bits IN (8, 16)),
    options jsonb NOT NULL,
    secret bytea,
    seeded bytea,
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    changed_at timestamptz NOT NULL DEFAULT kit_now()
);
CALL kit_shared_table('carrier', app => 'SELECT, INSERT, UPDATE');

-- What the sender that has adopted an account last said of it; it says so every second.
CREATE TABLE carrier_standing (
    account text PRIMARY KEY,
    version integer NOT NULL,
    connections integer NOT NULL,
    in_flight integer NOT NULL,
    why text NOT NULL,
    said_at timestamptz NOT NULL
);
CALL kit_shared_table('carrier_standing');

-- One message by one account, outside all sends. intended_at is committed before it is written: it goes out at most
-- once. carrier_ids: as receipts are kept under them, one for each part; receipts: what came of each.
CREATE TABLE carrier_test (
    test_id uuid PRIMARY KEY,
    account text NOT NULL,
    number text NOT NULL,
    sender text NOT NULL,
    body text NOT NULL,
    user_id text NOT NULL,
    outcome text NOT NULL DEFAULT 'queued'
        CHECK (outcome IN ('queued', 'submitting', 'accepted', 'rejected', 'unknown', 'not_sent')),
    error text NOT NULL DEFAULT '',
    carrier_ids text[] NOT NULL DEFAULT '{}',
    receipts text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    intended_at timestamptz,
    answered_at timestamptz
);
CALL kit_shared_table('carrier_test', app => 'SELECT, INSERT');
CREATE INDEX carrier_test_open ON carrier_test (account) WHERE outcome IN ('queued', 'submitting');
CREATE INDEX carrier_test_created ON carrier_test (created_at);

-- A route follows what is agreed with its carrier.
CALL kit_grant('route', 'app', 'SELECT, UPDATE');

-- Withdrawals that came by e-mail, by letter or by phone, and wait until somebody has applied them; the law says by when.
CREATE TABLE withdrawal_request (
    tenant_id uuid NOT NULL,
    request_id uuid NOT NULL,
    received_at timestamptz NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email', 'letter', 'phone', 'person', 'other')),
    -- From where, and in which words, as far as is known.
    address text NOT NULL,
    wording text NOT NULL,
    scope smallint NOT NULL CHECK (scope IN (1, 2)),
    -- The last day, where the business is, and the law that says so; '' where none names days.
    due_on date NOT NULL,
    due_at timestamptz NOT NULL,
    law text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'applied', 'dismissed')),
    created_at timestamptz NOT NULL DEFAULT kit_now(),
    created_by text NOT NULL,
    ended_at timestamptz,
    ended_by text NOT NULL DEFAULT '',
    -- Why it was dismissed; or which numbers were stopped.
    reason text NOT NULL DEFAULT '',
    number_hashes bytea[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, request_id),
    CHECK ((state = 'waiting') = (ended_at IS NULL)),
    CHECK (state <> 'dismissed' OR reason <> '')
);
CREATE INDEX withdrawal_request_waiting ON withdrawal_request (tenant_id, due_at, request_id) WHERE state = 'waiting';
CALL kit_tenant_table('withdrawal_request', worker => true, app => 'SELECT, INSERT, UPDATE', worker_privileges => 'SELECT');

-- Calls of HTTP carriers that were taken, by what makes each unlike any other: one that comes again as it was changes
-- nothing.
CREATE TABLE callback_seen (
    account text NOT NULL,
    digest bytea NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (account, digest)
);
CALL kit_worker_table('callback_seen');
CREATE INDEX callback_seen_at ON callback_seen USING brin (seen_at);

-- Receipts that came by call, until the sender that has their account takes them.
CREATE TABLE callback_receipt (
    account text NOT NULL,
    receipt_id bigint GENERATED ALWAYS AS IDENTITY,
    carrier_id text NOT NULL,
    state smallint NOT NULL,
    error text NOT NULL,
    number text NOT NULL,
    sender text NOT NULL,
    done_at timestamptz,
    submitted_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT kit_now(),
    PRIMARY KEY (account, receipt_id)
);
CALL kit_worker_table('callback_receipt');
CREATE INDEX callback_receipt_received ON callback_receipt USING brin (received_at);

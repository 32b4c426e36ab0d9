-- Records that a group could not apply, kept until an operator replays or drops them. Written in the transaction that
-- stores the offset behind them. The id is made of where the record stood and what it holds: a record that is read
-- again is parked once. What it holds goes when it is decided.
CREATE TABLE dead_letter (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    type text NOT NULL,
    event_id uuid,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'replayed', 'dropped')),
    attempts integer NOT NULL DEFAULT 0,
    key bytea NOT NULL,
    value bytea NOT NULL,
    value_bytes integer NOT NULL,
    headers jsonb NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT kit_now(),
    decided_at timestamptz,
    decided_by text NOT NULL DEFAULT '',
    decided_why text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
);
ALTER TABLE dead_letter ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE INDEX dead_letter_by_id ON dead_letter (id);
CREATE INDEX dead_letter_waiting ON dead_letter (consumer_group, parked_at) WHERE state = 'waiting';
CALL kit_tenant_table('dead_letter', worker => true, app => '');

-- Which log an offset belongs to: a topic that was deleted and made again has another id.
ALTER TABLE consumer_offset ADD COLUMN topic_id uuid;

-- Partitions that a group reads no further until an operator says so.
CREATE TABLE consumer_halt (
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('poison_flood', 'log_mismatch')),
    reason text NOT NULL,
    halted_at timestamptz NOT NULL DEFAULT kit_now(),
    -- The operator has said that what is not in this log any more is lost: it is read from its start.
    loss_accepted boolean NOT NULL DEFAULT false,
    PRIMARY KEY (consumer_group, topic, partition)
);
CALL kit_worker_table('consumer_halt');

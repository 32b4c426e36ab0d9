-- The promised finish: what each carrier takes, and what was promised of each send that is being sent.

-- A row for each account, written by its sender each second while it sends.
CREATE TABLE pace_account (
    account text PRIMARY KEY,
    parts_per_second double precision NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
CALL kit_worker_table('pace_account');

-- Of all workers one at a time says how it goes on, at most once in a while: who holds the lock of this row.
CREATE TABLE pace_turn (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at timestamptz NOT NULL
) WITH (fillfactor = 50);
CALL kit_worker_table('pace_turn', 'SELECT, UPDATE');
INSERT INTO pace_turn (at) VALUES (to_timestamp(0));

-- While a send is being sent: since when, how much was left at the last look, and what was promised. A pause ends it.
CREATE TABLE pace (
    tenant_id uuid NOT NULL,
    bulk_id uuid NOT NULL,
    control_version integer NOT NULL,
    began_at timestamptz NOT NULL,
    said_at timestamptz NOT NULL,
    parts_left bigint NOT NULL,
    parts_per_second double precision NOT NULL,
    promised_at timestamptz,
    promised_finish_at timestamptz,
    PRIMARY KEY (tenant_id, bulk_id),
    CHECK ((promised_at IS NULL) = (promised_finish_at IS NULL))
) WITH (fillfactor = 50);
CALL kit_tenant_table('pace', worker => true, app => '');

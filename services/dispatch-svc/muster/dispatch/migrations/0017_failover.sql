-- How carriers fare, and what is led elsewhere because of it.

-- What became of parts, counted up by whoever has the account, for good: those that were answered or lost, those of
-- these that failed by the carrier's fault, and those that it did not take.
ALTER TABLE carrier_standing ADD COLUMN answered bigint NOT NULL DEFAULT 0, ADD COLUMN failed bigint NOT NULL DEFAULT 0,
    ADD COLUMN not_taken bigint NOT NULL DEFAULT 0;

-- What was made of that (domain/failover.py). share: percent of what is meant for the account that it gets; why it is
-- not all of it, since when, and how often it has failed again. answered, failed and not_taken as they were at the last
-- look; good, bad and refused: the last outcomes; connected since turned_at, or not.
CREATE TABLE carrier_health (
    account text PRIMARY KEY,
    share smallint NOT NULL CHECK (share BETWEEN 0 AND 100),
    why text NOT NULL CHECK (why IN ('', 'down', 'errors')),
    since timestamptz NOT NULL,
    relapses integer NOT NULL,
    connected boolean NOT NULL,
    turned_at timestamptz NOT NULL,
    answered bigint NOT NULL,
    failed bigint NOT NULL,
    not_taken bigint NOT NULL,
    good integer NOT NULL,
    bad integer NOT NULL,
    refused integer NOT NULL
) WITH (fillfactor = 50);
CALL kit_shared_table('carrier_health', app => 'SELECT');

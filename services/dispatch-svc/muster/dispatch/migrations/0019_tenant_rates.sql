-- What a tenant may write a second, over all carriers: a row for each that an operator has given a rate. saved: how many
-- parts it could write at `at`, below 0 after a message of more; taken from by the transactions that commit intents.
-- takers: accounts whose senders took from it, whoever did last at the end, so that each of them has its turn.
CREATE TABLE tenant_rate (
    tenant_id uuid NOT NULL,
    parts_per_second integer NOT NULL CHECK (parts_per_second > 0),
    saved double precision NOT NULL,
    at timestamptz NOT NULL,
    takers text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id)
) WITH (fillfactor = 50);
CALL kit_tenant_table('tenant_rate', worker => true, app => '');

-- The parts that such a row is good for now: a second's worth at most. A clock that was set back is no reason to wait.
CREATE FUNCTION parts_saved(saved double precision, parts_per_second integer, at timestamptz) RETURNS double precision
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT least(parts_per_second, saved + parts_per_second * abs(extract(epoch FROM kit_now() - at))::float8) $$;

-- How many parts must be saved up before a sender of this account takes any: half a second's worth for who has not taken
-- any for longest, up to 0.8 s for who took last. Less would be dear, a claim for each part.
CREATE FUNCTION parts_worthwhile(parts_per_second integer, takers text[], account text) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT greatest(1, parts_per_second * (
        0.5 + 0.3 * coalesce(array_position(takers, account), 0) / greatest(1, cardinality(takers)))) $$;
